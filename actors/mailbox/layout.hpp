#pragma once

#include "core/clock.hpp"
#include "core/store/key.hpp"
#include "core/store/log_format.hpp"
#include "core/store/transaction.hpp"
#include "mailbox/change.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

/// How mail lies in LMDB. Numbers are big-endian, times Unix milliseconds.
///
/// | table    | key                  | value                                                    |
/// |----------|----------------------|----------------------------------------------------------|
/// | mail     | bucket u16, seq u64  | state as accepted, then what never changes, payload last |
/// | states   | bucket u16, seq u64  | state, once it differs from the one in `mail`            |
/// | sends    | bucket u16, slot 32  | until u64, body hash 32, message id, caller              |
/// | damaged  | table u8, its key    | the value that was found under that key                  |
/// |          | 255, lsn u64         | which records of the log are missing, as text            |
/// | counters | "seq", "topics"      | highest sequence number u64; key that spreads topics 16  |
///
/// Each value of the first three ends with the `core::checksum` of its key and itself. In front of
/// all of it lies a log (`core/store/log_format.hpp`) with steps for these very tables, whose
/// values get this end when they leave it.
///
/// Format 2 ended values with the first eight bytes of the BLAKE3 of the same instead, and format 1
/// had no log. What they wrote stays as it is and is still read: mail does not stay for long.
namespace ron::mailbox::layout {

namespace lmdb = core::store;

inline constexpr std::uint32_t format = 3;
inline constexpr std::uint32_t min_reader = 3; ///< who knows no checksum would put all aside

inline constexpr lmdb::table mail{0};
inline constexpr lmdb::table states{1};
inline constexpr lmdb::table sends{2};
inline constexpr lmdb::table counters{3};
inline constexpr lmdb::table damaged{4};
std::vector<std::string> table_names();
/// Stands for the log where `damaged` names a table.
inline constexpr std::uint8_t damaged_log = 255;
/// The counter of sequence numbers.
inline constexpr std::string_view seq_key = "seq";

/// Turns points on the monotonic clock into wall time and back, as of one moment.
class time_frame {
public:
  explicit time_frame(const core::clock& c) noexcept : now_(c.now()), wall_ms_(c.wall_ms()) {}
  std::uint64_t to_wall(core::instant t) const noexcept;
  /// Not later than `max` from now.
  core::instant from_wall(std::uint64_t ms, std::chrono::milliseconds max) const noexcept;

private:
  core::instant now_;
  std::int64_t wall_ms_;
};

/// Appends what a store has to do for a change to be kept.
void add_steps(lmdb::log_steps& to, const change& c, const time_frame& at);
/// The check behind a value that leaves the log, see `core::store::value_end`.
std::optional<std::uint64_t> seal(const lmdb::log_step& step) noexcept;
/// The highest sequence number is at least this.
void add_seq(lmdb::log_steps& to, std::uint64_t seq);

/// Errors: bad_digest if the value is damaged.
core::result<stored_mail> decode_mail(core::byte_view key, core::byte_view value,
                                      const time_frame& at);
core::result<mail_state> decode_state(core::byte_view key, core::byte_view value,
                                      const time_frame& at);
core::result<stored_send> decode_send(core::byte_view key, core::byte_view value,
                                      const time_frame& at);

} // namespace ron::mailbox::layout
