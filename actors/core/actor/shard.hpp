#pragma once

#include "core/actor/inbox.hpp"
#include "core/actor/run_queue.hpp"
#include "core/actor/timed_call.hpp"
#include "core/clock.hpp"

#include <caf/execution_unit.hpp>
#include <caf/resumable.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace boost::asio {
class io_context;
} // namespace boost::asio

namespace ron::core {

class foreign_clock;
class shard_clock;
class shards;

/// Something to run once. Must not throw.
using job = std::move_only_function<void()>;

/// What a shard has done so far. Totals since start, except `ready`.
struct shard_stats {
  std::uint64_t resumes = 0; ///< times an actor or a job got the thread
  std::uint64_t turns = 0;   ///< passes of the loop
  std::uint64_t sleeps = 0;  ///< times the thread waited in the kernel
  std::uint64_t wakes = 0;   ///< sleeps ended by another thread
  std::uint64_t remote = 0;  ///< wake-ups handed to other shards
  std::uint32_t ready = 0;   ///< actors and jobs waiting for the thread now
};

/// One thread with one `io_context`, one clock and one run queue; the home of actors and of the
/// sockets they own. What lives on a shard needs no lock against what lives on the same shard.
///
/// A turn of its loop: take the inbox, resume up to `turn_budget` actors, run what was deferred
/// to the end of the turn, hand wake-ups to other shards, poll sockets and timers. A shard that
/// has nothing to do waits in the kernel; it never spins.
///
/// Made and owned by `shards`; lives until the actor system is destroyed.
class shard final : public caf::execution_unit {
public:
  static constexpr std::size_t turn_budget = 64;      ///< resumes between two polls
  static constexpr std::size_t poll_budget = 32;      ///< I/O handlers between two drains
  static constexpr std::uint32_t jobs_max = 65'536;   ///< submitted jobs that may wait

  shard(caf::actor_system& system, shards& owner, std::size_t index);
  ~shard() override;

  /// The sockets' and timers' home. Only this shard's thread may use it (posting is fine, but
  /// `submit` is cheaper and is refused after the stop). Gone after `shards::stop`.
  boost::asio::io_context& io() noexcept { return *io_; }

  /// 0 ... `shards::size() - 1`.
  std::size_t index() const noexcept { return index_; }

  /// All shards of the same actor system.
  shards& owner() noexcept { return owner_; }

  /// The shard whose thread is running, or null on any other thread.
  static shard* current() noexcept;

  /// Runs `f` on this shard, after what already waits there. False, and `f` is destroyed, when
  /// the shard is closed or `jobs_max` jobs wait (threads that submit at the same moment may pass
  /// the bound by one each). Any thread.
  bool submit(job f);

  /// As `submit`, without the bound: for what somebody else bounds already and what must not be
  /// lost, such as timers and the places of roles. Any thread.
  bool post(job f);

  /// Runs `f` at the end of this turn: all that is ready has run (or the turn's budget is used
  /// up) and sockets have not been polled again. A connection writes here once what many streams
  /// have answered. Not for `f` to defer itself again and again. This shard's thread.
  /// An actor uses `self->defer(f)` instead, which runs as the actor and holds one pending call.
  void defer(job f);

  /// When the actor that runs now was resumed or entered: a monotonic time that is at most one
  /// handler old and costs nothing to read. This shard's thread.
  instant turn_time() const noexcept { return turn_time_; }
  void turn_time(instant t) noexcept { turn_time_ = t; }

  /// `what` expires at `due`, unless it is forgotten before. This shard's thread.
  call_timers::handle time_call(instant due, std::shared_ptr<timed_call> what);
  void forget_call(call_timers::handle h);

  /// A snapshot, not consistent across its members. Any thread.
  shard_stats stats() const noexcept;

  /// CAF's entry: makes `what` runnable at its home. Any thread.
  void exec_later(caf::resumable* what) override;

private:
  friend class foreign_clock;
  friend class shards;

  // -- the loop (own thread) ---------------------------------------------------
  void run();
  void take_inbox();
  void drain();
  void end_turn();
  void hand_over();
  void poll_some();
  void sleep();
  void resume_one(caf::resumable* what);

  // -- ways in -----------------------------------------------------------------
  void push_local(caf::resumable* what);
  void push_remote(shard& to, caf::resumable* what);
  bool push_foreign(std::span<caf::resumable* const> what);

  // -- life (called by shards) ---------------------------------------------------
  void start();
  void request_stop();
  void join();
  void close(std::vector<caf::resumable*>& leftovers);
  void destroy_io();

  shard_clock& clock() noexcept { return *clock_; }

  shards& owner_;
  std::size_t index_;
  std::unique_ptr<boost::asio::io_context> io_;
  std::unique_ptr<shard_clock> clock_;
  run_queue ready_;
  std::vector<caf::resumable*> taken_;                 ///< scratch of take_inbox
  std::vector<job> deferred_;
  std::vector<job> deferred_now_;                      ///< scratch of end_turn
  std::vector<std::vector<caf::resumable*>> outgoing_; ///< by target shard
  bool has_outgoing_ = false;
  instant turn_time_{};
  std::thread thread_;
  std::atomic<bool> stop_{false};
  std::atomic<std::uint32_t> jobs_{0};
  std::atomic<std::uint32_t> ready_size_{0};
  std::atomic<std::uint64_t> resumes_{0}, turns_{0}, sleeps_{0}, wakes_{0}, remote_{0};
  alignas(64) inbox inbox_;
};

} // namespace ron::core
