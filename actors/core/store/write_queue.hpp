#pragma once

#include "core/error.hpp"
#include "core/store/transaction.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <unordered_map>

namespace ron::core::store {

/// One write: what to do inside the transaction and whom to tell.
struct write_job {
  /// Jobs of one source are applied in the order they came; sources take turns.
  std::uint64_t source = 0;
  /// About how many bytes it writes; counts against the bounds of queue and batch.
  std::size_t bytes = 0;
  /// A delete, or another job that makes room: taken when the map is full of data, too.
  bool frees = false;
  /// Checks and writes. Runs on the writer's thread. An error (or an exception) fails this job
  /// alone: when it had written something by then, the transaction is thrown away and the other
  /// jobs of the batch are applied again, so a job may run more than once and must start anew
  /// each time. Must not keep cursors or views.
  std::move_only_function<result<void>(transaction&)> apply;
  /// Called exactly once: by the writer's thread after the commit has returned, or before `submit`
  /// returns if the job was refused. Quick, and never blocks.
  std::move_only_function<void(result<void>)> then;
  /// How many wait for its outcome: a commit gathers as many as the last one served.
  std::size_t callers = 1;
};

struct write_queue_limits {
  std::size_t jobs_max = 4'096;
  std::size_t bytes_max = 32u << 20;
};

/// Waiting jobs, fair between sources: each source has a line of its own, the lines take turns
/// job by job. Pure; one thread at a time.
class write_queue {
public:
  explicit write_queue(write_queue_limits limits) noexcept : limits_(limits) {}

  /// False, and `job` is left as it was, if a bound would be passed. A job alone in the queue is
  /// always taken.
  bool push(write_job& job);
  /// The next job in turn, unless it would bring the sum of a batch that holds `batch_bytes`
  /// above `batch_bytes_max`. A batch that is empty takes any job.
  std::optional<write_job> pop(std::size_t batch_bytes, std::size_t batch_bytes_max);

  std::size_t size() const noexcept { return size_; }
  std::size_t bytes() const noexcept { return bytes_; }
  std::size_t callers() const noexcept { return callers_; }
  bool empty() const noexcept { return size_ == 0; }

private:
  write_queue_limits limits_;
  std::unordered_map<std::uint64_t, std::deque<write_job>> lines_; ///< no line is empty
  std::deque<std::uint64_t> turns_; ///< each source with a line, once
  std::size_t size_ = 0;
  std::size_t bytes_ = 0;
  std::size_t callers_ = 0;
};

} // namespace ron::core::store
