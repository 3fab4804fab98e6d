#pragma once

#include "core/clock.hpp"
#include "core/store/environment.hpp"
#include "core/store/faults.hpp"
#include "core/store/write_queue.hpp"

#include <array>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

struct MDB_txn;

namespace ron::core::store {

struct writer_limits {
  write_queue_limits queue;
  /// A batch is committed when it holds so many bytes, when so much time has passed since it began,
  /// or when nobody waits, whichever is first.
  std::size_t batch_bytes = 8u << 20;
  std::chrono::microseconds batch_time{2'000};
};

/// What a writer has done. Totals since start, except the last three.
struct writer_stats {
  /// Commit times by power of two: bucket i counts those below 2^i us, the last one the rest.
  static constexpr std::size_t buckets = 24;

  std::uint64_t commits = 0;
  std::uint64_t failed_commits = 0;
  std::uint64_t reopened = 0;
  std::uint64_t jobs = 0;            ///< applied and committed
  std::uint64_t failed_jobs = 0;     ///< failed alone or with their batch
  std::uint64_t refused_jobs = 0;    ///< the queue was full, or the writer had stopped
  std::uint64_t replays = 0;         ///< batches applied again because a job failed after writing
  std::uint64_t bytes = 0;           ///< of committed jobs
  std::size_t largest_batch = 0;     ///< jobs
  std::chrono::nanoseconds commit_time{};     ///< sum; fdatasync included
  std::chrono::nanoseconds commit_time_max{};
  std::array<std::uint64_t, buckets> commit_times{};
  std::size_t queued_jobs = 0;
  std::size_t queued_bytes = 0;
  std::size_t working_jobs = 0; ///< now: taken off the queue and not told of
};

/// The only thread that writes to an environment. Jobs are gathered into group commits; nobody is
/// told of success before the commit that contains his job has returned, which is after the data
/// reached the disk. When a commit fails, all jobs of its batch fail, the environment is closed
/// and opened again (unless the disk was merely full), and the next batch has its chance.
///
/// New data is refused with store_quota when it would bring the map above 95 %; jobs that free go
/// on.
class writer {
public:
  /// `env` and `injected` outlive the writer. Starts the thread.
  explicit writer(environment& env, writer_limits limits = {}, faults* injected = nullptr);
  /// Stops.
  ~writer();
  writer(const writer&) = delete;
  writer& operator=(const writer&) = delete;

  /// Queues a job; see `write_job`. Refusals: busy (queue full), draining (stopped). Never waits
  /// for a commit. Any thread.
  void submit(write_job job);

  /// Commits what is queued and ends the thread; refuses everything from now on. Idempotent.
  void stop();

  writer_stats stats() const;

private:
  struct batch;

  void run();
  bool wait_for_work();
  void process();
  result<void> attempt(batch& b);
  void fill(batch& b, MDB_txn* txn);
  void replay(batch& b, MDB_txn* txn);
  void take(batch& b);
  result<void> apply(batch& b, write_job& job, MDB_txn* txn);
  result<void> commit(MDB_txn* txn);
  result<MDB_txn*> begin();
  bool is_enough() const noexcept;
  void reopen();
  void count_free_pages();
  void finish(batch& b, const result<void>& committed);
  std::optional<write_job> next(const batch& b);

  environment& env_;
  const writer_limits limits_;
  faults* faults_;
  bool needs_reopen_ = false;   ///< own thread, like the next
  instant reopen_not_before_{};
  bool uncounted_ = false;      ///< commits since the free pages were counted
  instant count_not_before_{};

  mutable std::mutex mutex_;
  std::condition_variable work_;
  write_queue queue_;
  writer_stats stats_;
  std::size_t last_batch_callers_ = 0;
  bool lingering_ = false;
  std::chrono::nanoseconds last_commit_{};
  bool stopping_ = false;
  std::once_flag joined_;
  std::thread thread_;
};

} // namespace ron::core::store
