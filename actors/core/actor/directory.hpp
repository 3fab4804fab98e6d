#pragma once

#include "core/actor/probe.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/error.hpp>

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

namespace ron::core {

/// A live actor as it was when it was looked at.
struct actor_record {
  std::uint64_t id = 0;
  std::uint64_t parent = 0;        ///< 0 = spawned by no actor
  const char* type = "";
  std::uint32_t shard = no_shard;
  std::uint32_t depth = 0;
  std::uint32_t bound = 0;
  std::uint32_t high_water = 0;
  std::uint64_t in = 0;
  std::uint64_t out = 0;           ///< messages to bounded actors of this node
  std::uint64_t refused = 0;
  std::uint64_t dropped = 0;
  std::chrono::nanoseconds busy{}; ///< the running handler included
  std::chrono::nanoseconds in_handler{}; ///< 0 = not running now
  std::chrono::nanoseconds age{};
  message_tag last;                ///< message handled last
  std::source_location site;       ///< where it was spawned
};

/// The end of an actor.
struct death_record {
  std::uint64_t id = 0;
  std::uint64_t parent = 0;
  const char* type = "";
  std::uint32_t shard = no_shard;
  std::string reason;              ///< "normal" or the error in words
  bool failed = false;             ///< ended by an error, not by its own or the node's will
  std::uint32_t high_water = 0;
  std::uint64_t in = 0;
  std::chrono::nanoseconds age{};  ///< how long it lived
  instant when{};
  std::array<message_tag, 5> last; ///< messages handled last, newest first
};

/// Messages that bounded mailboxes did not take, node-wide, since start.
struct mailbox_totals {
  std::uint64_t dropped = 0;       ///< metric bus_overflow_dropped_total
  std::uint64_t refused = 0;       ///< requests answered `busy`, "mailbox_full"
};

/// Who is alive, and how the last thousand ended. One per process, fed by `bounded`; the memory
/// per live actor is the probe inside it. Striped by actor id; a lock is taken when an actor is
/// spawned, when it ends, and by readers one stripe at a time. Any thread.
class directory {
public:
  static constexpr std::size_t stripes = 16;
  static constexpr std::size_t deaths_max = 1'000;

  static directory& instance() noexcept;

  /// Live actors now.
  std::size_t size() const;
  /// Copies the records for which `keep` is true (all if empty). `keep` runs under a stripe's
  /// lock: it must be quick and must not spawn, end or look up actors.
  std::vector<actor_record> snapshot(
    const std::function<bool(const actor_record&)>& keep = {}) const;
  /// The record of one actor; none if it is gone.
  std::optional<actor_record> get(std::uint64_t id) const;
  /// A handle of a live actor, null if it is gone.
  caf::strong_actor_ptr find(std::uint64_t id) const;
  /// Changes a mailbox bound while the actor runs; false if it is gone. `bound` is clamped to
  /// 1 ... `limits::mailbox_bound_max`.
  bool set_bound(std::uint64_t id, std::uint32_t bound);

  /// The last ends, newest first, at most `deaths_max`.
  std::vector<death_record> deaths() const;
  /// Ends since start, those that the ring has forgotten included.
  std::uint64_t deaths_total() const;

  mailbox_totals totals() const noexcept;

  // -- for bounded ---------------------------------------------------------------
  void add(probe& p);
  void remove(probe& p, const caf::error& reason);
  void count_dropped() noexcept { dropped_.fetch_add(1, std::memory_order_relaxed); }
  void count_refused() noexcept { refused_.fetch_add(1, std::memory_order_relaxed); }

private:
  struct alignas(64) stripe {
    mutable std::mutex mutex;
    probe* first = nullptr;
    std::size_t size = 0;
  };
  struct death {
    death_record record;
    caf::error reason;             ///< rendered when somebody asks
  };

  const stripe& stripe_of(std::uint64_t id) const noexcept { return stripes_[id % stripes]; }
  stripe& stripe_of(std::uint64_t id) noexcept { return stripes_[id % stripes]; }
  static probe* seek(const stripe& s, std::uint64_t id) noexcept;
  static actor_record read(const probe& p, instant now) noexcept;
  void record_end(const probe& p, const caf::error& reason);

  std::array<stripe, stripes> stripes_;
  mutable std::mutex deaths_mutex_;
  std::vector<death> deaths_;      ///< ring of `deaths_max`
  std::uint64_t deaths_total_ = 0;
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<std::uint64_t> refused_{0};
};

/// Plain messages dropped at a mailbox bound, node-wide: metric `bus_overflow_dropped_total`.
inline std::uint64_t bus_overflow_dropped_total() noexcept {
  return directory::instance().totals().dropped;
}

} // namespace ron::core
