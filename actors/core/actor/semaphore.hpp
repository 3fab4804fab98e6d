#pragma once

#include "core/actor/actor.hpp"
#include "core/actor/permit.hpp"
#include "core/actor/supervisor.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace ron::core {

/// A permit on its way in a message. Copies share it; the receiver takes it out.
struct permit_grant {
  std::shared_ptr<permit> held;
};

} // namespace ron::core

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::core::permit_grant)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::core::work_step)

namespace ron::core {

/// Keeps the line of one shard (decision "Node-wide limits on several shards").
using semaphore_actor = caf::typed_actor<
  // A permit before this deadline. Errors: busy (with a retry time) when the node-wide line is
  // full, downstream_timeout when the deadline passes first, degraded when the actor ends.
  caf::replies_to<atom::acquire, instant, work_step>::with<permit_grant>,
  // INTERNAL: a permit is free and the oldest waiter may be yours.
  caf::reacts_to<atom::wake>,
  // INTERNAL: a waiter's deadline has come.
  caf::reacts_to<atom::tick>>;

/// Totals since start, and the state now.
struct semaphore_stats {
  std::uint32_t permits = 0;
  std::uint32_t in_use = 0;
  std::uint32_t waiters_max = 0;
  std::uint32_t waiting = 0;
  std::uint64_t waited = 0;    ///< granted after a wait
  std::uint64_t shed = 0;      ///< refused because the line was full
  std::uint64_t timed_out = 0; ///< deadline passed in the line
};

/// One node-wide limit on requests to a downstream: `permits` at a time, `waiters_max` waiting
/// behind them in order of arrival over all shards. The sum is never exceeded, and nobody is
/// refused while there is room. Copies share. Any thread.
class semaphore {
public:
  /// Retry time told to those who are refused.
  static constexpr std::uint32_t shed_retry_ms = 1'000;

  /// No limit at all: `try_acquire` and `here` give nothing, `downstream` does not ask.
  semaphore() noexcept = default;
  explicit operator bool() const noexcept { return core_ != nullptr; }

  /// Starts the semaphore actors, one per shard, under a supervisor. `waiters_max` defaults to
  /// twice the permits. `give_up` as in `role_plan`.
  static semaphore start(caf::actor_system& system, std::string name, std::uint32_t permits,
                         std::function<void(const std::string&, const caf::error&)> give_up);
  static semaphore start(caf::actor_system& system, std::string name, std::uint32_t permits,
                         std::uint32_t waiters_max,
                         std::function<void(const std::string&, const caf::error&)> give_up);

  /// The fast path: a permit without a message, if one is free and nobody waits. Any thread.
  permit try_acquire() const noexcept;

  /// The line of the current shard, to be asked for a permit by `atom::acquire_v`. Null while it is
  /// restarted.
  semaphore_actor here() const;

  /// True while every shard has its line; an empty semaphore is always ready.
  bool ready() const;

  semaphore_stats stats() const noexcept;

  /// Other figures from now on. Permits that are out stay out, and whoever waits keeps its place: a
  /// smaller number acts as permits come back. Any thread.
  void set(std::uint32_t permits, std::uint32_t waiters_max) const;
  /// The same with twice as many places as permits.
  void set(std::uint32_t permits) const { set(permits, 2 * permits); }

  /// Ends the actors; whoever waits is answered `degraded`. Permits that are out stay valid.
  void stop();

  /// The supervisor, to watch the stop.
  supervisor_actor supervisor() const;

  struct core;

private:
  explicit semaphore(std::shared_ptr<core> c) noexcept : core_(std::move(c)) {}
  std::shared_ptr<core> core_;
};

} // namespace ron::core
