#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace ron::core::store {

/// Which segments of a log hold what: a ring that grows up to a bound. Pure; one thread at a time.
class log_segments {
public:
  /// `bytes`: of a segment that holds no overlong record.
  log_segments(std::size_t bytes, std::size_t segments_max) noexcept
    : bytes_(bytes), segments_max_(segments_max) {
    // nop
  }

  /// After opening: so many segments are there, and may hold what comes after `applied`.
  void reset(std::size_t segments, std::uint64_t last_lsn, std::uint64_t last_generation,
             std::uint64_t applied);

  /// Where records go now.
  struct active_segment {
    std::size_t slot = 0;
    std::uint64_t generation = 0;
    std::uint64_t first_lsn = 0;
    std::size_t end = 0; ///< where the next record goes
    bool is_new = false; ///< its head is to be written, before or with its first record
  };

  /// True if a record of so many bytes goes into the segment that was begun.
  bool fits(std::size_t record_bytes) const noexcept;
  /// Where a record of so many bytes goes, in a segment that is begun if need be. None when all
  /// are full: a checkpoint has to come first. `may_reuse` is false while somebody copies the log:
  /// then only a segment that never was may be begun.
  std::optional<active_segment> place_for(std::size_t record_bytes, bool may_reuse);
  /// The record is durable.
  void wrote(std::size_t record_bytes);
  /// It may be or not. Nothing is added to its segment any more; what follows is begun with the
  /// number that this record had, and takes its place.
  void failed();
  /// Everything up to `lsn` is durable elsewhere.
  void applied(std::uint64_t lsn);

  std::uint64_t last_lsn() const noexcept { return last_lsn_; }
  std::size_t segments() const noexcept { return slots_.size(); }
  /// Bytes of the records that are not applied, with what fills their last pages.
  std::size_t bytes() const noexcept { return live_bytes_; }

private:
  enum class use : std::uint8_t { free, active, full };
  struct slot {
    use is = use::free;
    std::uint64_t generation = 0;
    std::uint64_t first_lsn = 0;
    std::uint64_t last_lsn = 0;  ///< below `first_lsn`: nothing in it counts
    std::size_t end = 0;
    bool head_written = false;
  };
  std::optional<std::size_t> unused(bool may_reuse);
  void begin(std::size_t i);
  void count();

  std::size_t bytes_;
  std::size_t segments_max_;
  std::vector<slot> slots_;
  std::optional<std::size_t> active_;
  std::uint64_t last_lsn_ = 0;
  std::uint64_t last_generation_ = 0;
  std::uint64_t applied_ = 0;
  std::size_t live_bytes_ = 0;
};

} // namespace ron::core::store
