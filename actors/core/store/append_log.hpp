#pragma once

#include "core/store/faults.hpp"
#include "core/store/log_files.hpp"
#include "core/store/log_scan.hpp"
#include "core/store/log_segments.hpp"

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace ron::core::store {

struct append_log_options {
  std::string folder;              ///< of the environment that it lies in front of
  std::uint64_t id = 0;            ///< of the store, never 0
  std::size_t segment_bytes = 8u << 20;
  std::size_t segments_max = 12;
};

/// A log on disk: records are durable when `append` returns, in preallocated segments that are used
/// again once what they hold is durable elsewhere. `append` is for one thread, the rest for any.
class append_log {
public:
  append_log(append_log_options options, faults* injected)
    : options_(std::move(options)), files_(options_.folder, options_.segment_bytes),
      segments_(options_.segment_bytes, options_.segments_max), faults_(injected) {
    // nop
  }

  /// Reads what is there: what has to be applied to a store that knows everything up to `applied`.
  /// `images` is what the records point into. To be called first. Error: precondition_failed (the
  /// log of another store lies here), degraded (I/O).
  result<log_replay> open(std::uint64_t applied, std::vector<log_image>& images);

  /// True if a record of so many bytes has its place now. False: a checkpoint has to come first,
  /// or the end of a copy.
  bool has_place(std::size_t payload_bytes);
  /// One write and one fdatasync. After an error nothing is known of the record: it may be found
  /// after a crash, unless another one was appended by then; what was appended before it is safe.
  /// Errors: disk_full, degraded, busy (no place).
  result<void> append(std::span<const byte_view> payload);
  /// What is in the log up to `lsn` is durable elsewhere.
  void applied(std::uint64_t lsn);

  std::uint64_t last_lsn() const;
  /// Of segments with something that is not applied.
  std::size_t bytes() const;
  std::size_t segments() const;
  std::size_t bytes_max() const noexcept {
    return options_.segment_bytes * options_.segments_max;
  }

private:
  std::optional<log_segments::active_segment> place_for(std::size_t record_bytes);
  int write(const log_segments::active_segment& at, std::span<const byte_view> payload,
            std::size_t record_bytes);

  const append_log_options options_;
  log_files files_; ///< of the appending thread, but for opening
  mutable std::mutex mutex_;
  log_segments segments_;
  faults* faults_;
  std::vector<byte_view> pieces_; ///< of the appending thread, kept for their room
};

} // namespace ron::core::store
