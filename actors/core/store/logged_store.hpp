#pragma once

#include "core/store/append_log.hpp"
#include "core/store/environment.hpp"
#include "core/store/log_checkpoint.hpp"
#include "core/store/pending_changes.hpp"
#include "core/store/writer.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <expected>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <thread>
#include <vector>

namespace ron::core::store {

/// A row of steps that are kept together with others, by one write to the log.
struct log_job {
  /// A part of it that is kept or refused by itself.
  struct entry {
    std::size_t end = 0;   ///< of its steps, in bytes
    std::size_t brings = 0; ///< bytes of new data; 0 = makes room, never refused for the lack of it
  };
  /// Called exactly once: by the log's thread after the write is durable, or before `submit`
  /// returns if the job was not taken. `refused` are the entries that found no room in the map, in
  /// order. Quick, and never blocks.
  using told = std::move_only_function<void(result<void>, std::span<const std::size_t> refused)>;

  log_steps steps;
  std::vector<entry> entries;
  told then;
};

struct logged_store_options {
  environment_options environment;
  value_end end_value; ///< may be null
  std::size_t segment_bytes = 8u << 20;
  std::size_t segments_max = 12;
  /// A checkpoint begins when the log holds so much, or when nothing came for a while.
  std::size_t checkpoint_bytes = 32u << 20;
  std::chrono::milliseconds idle{2'000};
  /// A checkpoint that failed is tried again so much later, or when somebody waits for it.
  std::chrono::milliseconds retry{250};
  std::size_t queue_jobs_max = 4'096;
  std::size_t queue_bytes_max = 32u << 20;
  /// A group is written when it holds so much, or nobody waits.
  std::size_t group_bytes = 4u << 20;
  std::chrono::microseconds group_time{2'000};
};

/// What a log has done. Totals since start, except where it says now.
struct log_stats {
  std::uint64_t bytes = 0;              ///< now, of segments that are not applied
  std::uint64_t bytes_max = 0;          ///< bound of it
  std::uint64_t segments = 0;           ///< now
  std::uint64_t pending_steps = 0;      ///< now, in the log and not in the environment
  std::uint64_t pending_bytes = 0;      ///< now, of memory that these take; `bytes_max` bounds it
  std::uint64_t syncs = 0;
  std::uint64_t failed_syncs = 0;       ///< writes that failed, too
  std::uint64_t written_bytes = 0;      ///< what fills pages included
  std::uint64_t jobs = 0;
  std::uint64_t failed_jobs = 0;
  std::uint64_t refused_jobs = 0;       ///< the queue was full
  std::uint64_t queued_jobs = 0;        ///< now
  std::uint64_t queued_bytes = 0;       ///< now
  std::uint64_t queued_bytes_max = 0;   ///< bound of it
  std::uint64_t working_jobs = 0;       ///< now: taken off the queue and not told of
  std::uint64_t checkpoints = 0;
  std::uint64_t failed_checkpoints = 0;
  std::uint64_t damaged_records = 0;    ///< found at the opening
  std::chrono::nanoseconds sync_time{}; ///< sum
  std::chrono::nanoseconds sync_time_max{};
  std::chrono::nanoseconds checkpoint_time{}; ///< sum
  std::chrono::nanoseconds checkpoint_time_max{};
};

/// An environment with a log in front of it. What is submitted is told of once it is durable in the
/// log, which takes one sync for all that waited; LMDB takes two, and pages. A checkpoint brings
/// what has come together into the environment: one change per key, in the order of keys, on the
/// environment's own writer. What came and went in between never gets there.
///
/// After a failed write of the log its job fails, and what follows goes into another segment. After
/// a failed checkpoint everything stays in the log, and the checkpoint is tried again; when the log
/// is full by then, jobs fail with its error.
class logged_store {
public:
  /// Opens the environment and reads its log. Records that were acknowledged and cannot be read any
  /// more are in `damages`; the others are applied, which goes on after this has returned if the
  /// disk does not let it happen now. Errors: as `environment::open`.
  static std::expected<std::unique_ptr<logged_store>, open_error> open(logged_store_options options,
                                                                       faults* injected);
  /// Keeps what was submitted, and checkpoints.
  ~logged_store();
  logged_store(const logged_store&) = delete;
  logged_store& operator=(const logged_store&) = delete;

  /// Refusals: busy (queue full). Any thread, never waits. Calls have returned before this goes.
  void submit(log_job job);

  /// Waits until the environment has everything that has been told of. Errors: those of a commit.
  /// Not on a shard, nor on the threads of this.
  result<void> settle();

  /// What has been told of and may not be in the environment, for who reads it there: see
  /// `merged_cursor`. Any thread; takes time with what the log holds.
  pending_changes pending(const pending_changes::filter& wanted);
  const value_end& end_value() const noexcept { return options_.end_value; }

  /// A counter that `raise` steps have brought to this, as of the opening; it may not be in the
  /// environment yet. 0 = none.
  std::uint64_t raised(table in, byte_view key);

  environment& env() noexcept { return *env_; }
  /// For what concerns the environment alone.
  writer& direct() noexcept { return *direct_; }
  const std::vector<log_damage>& damages() const noexcept { return damages_; }
  log_stats stats() const;

private:
  struct group;
  using steady = std::chrono::steady_clock;

  logged_store(logged_store_options options, faults* injected);

  std::expected<void, open_error> open_log();
  std::expected<std::uint64_t, open_error> place_of_log();
  void start() { thread_ = std::thread{[this] { run(); }}; }

  void run();
  bool wait_for_work(group& g);
  bool is_enough() const noexcept;
  void take(group& g);
  void keep(group& g);
  void admit(group& g);
  bool claim(group& g, std::size_t& claims, std::size_t bytes);
  result<void> append(group& g);
  void finish(group& g, const result<void>& kept, std::chrono::nanoseconds took);

  bool has_blocks() const noexcept { return !blocks_.empty() || !shared_.empty(); }
  void share_blocks();
  bool checkpoint_due(steady::time_point now) const;
  std::optional<steady::time_point> next_checkpoint() const;
  void begin_checkpoint(std::unique_lock<std::mutex>& lock);
  void on_checkpoint(const result<void>& r, steady::time_point began);
  result<void> checkpoint_now();

  const logged_store_options options_;
  faults* faults_;
  std::uint64_t id_ = 0;
  std::unique_ptr<environment> env_;
  std::unique_ptr<writer> direct_;
  std::unique_ptr<append_log> log_;
  std::vector<log_damage> damages_;

  mutable std::mutex mutex_;
  std::condition_variable work_; ///< of the log's thread
  std::condition_variable done_; ///< of those who wait for a checkpoint
  std::deque<log_job> queue_;
  std::size_t queue_bytes_ = 0;
  std::size_t queue_entries_ = 0;
  std::size_t last_group_entries_ = 0;
  bool lingering_ = false;
  bool stopping_ = false;
  std::chrono::nanoseconds last_sync_{};
  log_stats stats_;

  // What is in the log and not in the environment: kept since, and on its way.
  std::vector<log_steps> blocks_;
  std::vector<log_blocks> shared_; ///< before `blocks_`: somebody reads them
  std::size_t block_steps_ = 0;
  std::size_t block_bytes_ = 0;
  std::size_t block_claims_ = 0;
  std::shared_ptr<log_checkpoint> frozen_;
  std::size_t frozen_steps_ = 0;
  std::size_t frozen_bytes_ = 0;
  bool running_ = false;
  std::uint64_t applied_ = 0;
  std::uint64_t wanted_ = 0;        ///< somebody waits for this lsn
  std::uint64_t failures_ = 0;      ///< of checkpoints
  result<void> last_failure_;
  steady::time_point retry_at_{};
  steady::time_point last_append_{};
  std::uint64_t room_ = 0;          ///< of the map, as of the last checkpoint

  std::thread thread_; ///< last: uses the others
};

} // namespace ron::core::store
