#pragma once

#include "core/actor/shard.hpp"

#include <caf/actor_system.hpp>
#include <caf/scheduler/abstract_coordinator.hpp>

#include <cstddef>
#include <memory>
#include <vector>

namespace ron::core {

class foreign_clock;

/// The shards of one actor system. They *are* its CAF scheduler: `cfg.load<shards>()` before the
/// system is made puts them in the place of work stealing.
///
/// Configuration: `scheduler.max-threads` = number of shards (default: the cores this process may
/// use), `scheduler.max-throughput` = messages an actor handles before the next one gets its turn
/// (default 64; never unlimited, or two busy actors starve the rest).
///
/// An actor's home is the shard it was spawned on, for life. `spawn_on` chooses it, `spawn_here`
/// keeps a family together.
///
/// Stop (by the destructor of the actor system): actors end while the shards run; threads are
/// woken and joined; inboxes close; leftovers are discarded; timers are cancelled; io_contexts
/// are destroyed. The shard objects outlive that, because detached threads send until the end.
class shards final : public caf::scheduler::abstract_coordinator {
public:
  explicit shards(caf::actor_system& system);
  ~shards() override;

  /// Factory that `actor_system_config::load` wants.
  static caf::actor_system::module* make(caf::actor_system& system, caf::detail::type_list<>) {
    return new shards(system);
  }

  /// The shards of `system`, which must have loaded them.
  static shards& of(caf::actor_system& system);
  /// The shards of `system`, or null if it runs on another scheduler (tests).
  static shards* find(caf::actor_system& system) noexcept;

  /// Number of shards, >= 1.
  std::size_t size() const noexcept { return units_.size(); }
  /// Shard `i`, `i < size()`.
  shard& at(std::size_t i) noexcept { return *units_[i]; }
  /// Another shard with each call, round robin. Any thread.
  shard& next() noexcept;
  /// The current shard, or `next()` on a thread that is no shard of this system.
  shard& current_or_next() noexcept;

  // -- CAF -----------------------------------------------------------------------
  void init(caf::actor_system_config& config) override;
  void start() override;
  void stop() override;
  void enqueue(caf::resumable* what) override { route(what, nullptr); }
  caf::actor_clock& clock() noexcept override;

private:
  friend class shard;

  shard* own(caf::execution_unit* unit) noexcept;
  shard* home(caf::resumable* what, shard* here) noexcept;
  void route(caf::resumable* what, shard* hint);
  static void discard(caf::resumable* what);

  std::vector<std::unique_ptr<shard>> units_;
  std::unique_ptr<foreign_clock> foreign_clock_;
};

} // namespace ron::core
