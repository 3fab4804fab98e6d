#pragma once

#include "core/store/log_format.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace ron::core::store {

/// What one segment's file holds. Its records are views into the image.
struct scanned_segment {
  std::size_t slot = 0;             ///< the file's number
  bool head_damaged = false;        ///< there are records, but no head that says whose
  std::optional<log_segment_head> head; ///< none: never used, or nothing of use in it
  std::vector<log_record> records;  ///< whole ones of its generation, ascending
};

/// Looks through the image of a segment's file for records of the log `id`. A record that is not
/// whole is passed over when another one follows: then it was whole once.
scanned_segment scan_segment(byte_view image, std::size_t slot, std::uint64_t id);

/// Records that were acknowledged and are not there.
struct log_damage {
  std::uint64_t first_lsn = 0;
  std::uint64_t last_lsn = 0;
  std::size_t slot = 0; ///< the file that should have them, or the one behind the gap
  std::size_t at = 0;   ///< about where in it; 0 = unknown
};
std::string to_string(const log_damage& d);

/// What a log says about the time after `applied`.
struct log_replay {
  std::vector<log_record> records;  ///< to be applied, in order
  std::vector<log_damage> damages;
  std::uint64_t last_lsn = 0;       ///< the next record gets the next one
  std::uint64_t last_generation = 0;
};

/// Puts the segments of a log together. Of records with the same number the one of the later
/// generation counts: the other one was answered with an error. What was torn at the very end was
/// not acknowledged and is left out; every other gap above `applied` is a damage.
log_replay replay_of(std::vector<scanned_segment> segments, std::uint64_t applied);

} // namespace ron::core::store
