#pragma once

#include "core/actor/door.hpp"
#include "core/actor/shards.hpp"

#include <caf/actor_cast.hpp>
#include <caf/actor_control_block.hpp>

#include <cstddef>
#include <memory>
#include <mutex>
#include <vector>

namespace ron::core {

/// Where the replicas of one role are: a slot per shard, empty while a replica is dead or starts.
/// Written by the role's supervisor, read through `role_ref`. Any thread.
class role_table : public std::enable_shared_from_this<role_table> {
public:
  /// A slot per shard of `system`, or `otherwise` many when it does not run on shards (tests).
  static std::shared_ptr<role_table> make(caf::actor_system& system, std::size_t otherwise = 1);

  /// Number of slots, >= 1.
  std::size_t size() const noexcept { return slots_.size(); }

  /// Puts `replica` (null = none) into slot `i`. The change is made on the slot's own shard, so
  /// that its readers need no lock: at once when called there, else a moment later.
  void point(std::size_t i, caf::strong_actor_ptr replica);

  /// The replica of the current shard, without a lock; elsewhere that of slot 0.
  caf::strong_actor_ptr here() const;

  /// The replica of slot `i` may be asked in place from now on, until there is none. The shard of
  /// the slot.
  void open_door(std::size_t i, std::shared_ptr<door> way) { slots_[i].way = std::move(way); }
  /// The door of the replica of the current shard; null if it has none, and on other threads.
  door* door_here() const noexcept;

  /// The replica of slot `i`.
  caf::strong_actor_ptr at(std::size_t i) const;

  /// True while no slot is empty.
  bool complete() const;

private:
  struct alignas(64) slot {
    mutable std::mutex mutex;      // writer, and readers that are not on the slot's shard
    caf::strong_actor_ptr replica; // written on its shard only
    std::shared_ptr<door> way;     // used on its shard only
  };

  role_table(shards* all, std::size_t slots) : shards_(all), slots_(slots) {}
  void set(std::size_t i, caf::strong_actor_ptr replica);

  shards* shards_;
  std::vector<slot> slots_;
};

/// How everybody refers to a role (decision "Role handles"): the handle of its replica on the
/// current shard, asked for anew with each request. Copy freely; never store what `get` returns.
template <class Handle>
class role_ref {
public:
  role_ref() noexcept = default;
  explicit role_ref(std::shared_ptr<role_table> table) noexcept : table_(std::move(table)) {}

  /// The replica of the current shard; null while it is dead or not yet started, and then the
  /// caller answers `ec::degraded` at once. On a thread that is no shard: the first replica.
  Handle get() const {
    return table_ ? caf::actor_cast<Handle>(table_->here()) : Handle{};
  }

  /// The door of the replica of the current shard; null while it is none.
  auto* door() const noexcept {
    return static_cast<typename door_of<Handle>::type*>(table_ ? table_->door_here() : nullptr);
  }

  /// True while every shard has a replica.
  bool ready() const { return table_ && table_->complete(); }

  const std::shared_ptr<role_table>& table() const noexcept { return table_; }

private:
  std::shared_ptr<role_table> table_;
};

} // namespace ron::core
