#pragma once

#include "core/bytes.hpp"
#include "core/store/transaction.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

/// How the log in front of an environment lies on disk. Numbers are big-endian.
///
/// A log is a ring of segments, files of a fixed size. A segment begins with a page of its own:
///
///     magic u32 "RLGS", version u32, id u64, generation u64, first lsn u64, check u64
///
/// Records follow, each at a multiple of the page, so that no write touches a page that holds
/// something acknowledged:
///
///     magic u32 "RLG2", payload bytes u32, lsn u64, id u64, generation u64, check u64, payload
///
/// The id is random and the store's: nobody who writes payloads can make one up. The generation
/// is the segment's: what an earlier use of the file has left is none of its records. The lsn
/// counts records without gaps.
///
/// The check is the XXH64 of the fields before it and of the XXH64 of the payload. It tells what a
/// crash has torn and what a disk has changed. It is no proof against who chooses the bytes, and
/// need not be: a payload becomes a record only with the id of the store in it, which is 64 bits
/// from the system's source of randomness that never leave the store's folder; and two payloads
/// with one check help nobody, because what was torn was not acknowledged and is its writer's own.
///
/// This is version 2. Version 1 is read and no longer written: there a record's magic is "RLGR",
/// and the check is the first eight bytes of the BLAKE3 of everything else. A record says itself
/// which it is, so it is found where the head of its segment is damaged or is of a later use.
///
/// A payload is a row of steps: op u8, table u8, key bytes u16, value bytes u32, key, value. Each
/// says how one key is from now on, so that a row of them may be applied again from anywhere before
/// its end.
namespace ron::core::store {

/// What a step does to its key.
enum class log_op : std::uint8_t {
  put = 1,    ///< creates or replaces
  fresh = 2,  ///< creates; the key was never in the store before
  remove = 3, ///< nothing if there is none
  raise = 4,  ///< the value, a u64, unless the one that is there is higher
};

/// One change. Views into the payload.
struct log_step {
  log_op op = log_op::put;
  table to{};
  byte_view key;
  byte_view value;
};

/// A row of steps that is being written, one field after the other.
class log_steps {
public:
  void begin(log_op op, table to);
  void add(byte_view v) { block_.insert(block_.end(), v.begin(), v.end()); }
  /// What was added since `begin` is the key; what follows is the value.
  void key_ends() noexcept;
  void end() noexcept;
  /// A whole step.
  void add(log_op op, table to, byte_view key, byte_view value = {});

  byte_view view() const noexcept { return block_; }
  std::size_t size() const noexcept { return block_.size(); }
  std::size_t count() const noexcept { return count_; }
  void reserve(std::size_t n) { block_.reserve(n); }
  /// Takes [from, to), whole steps, out again.
  void cut(std::size_t from, std::size_t to);

  static constexpr std::size_t step_head_bytes = 8;

private:
  void patch(std::size_t at, std::uint32_t n, int width) noexcept;

  std::vector<std::uint8_t> block_;
  std::size_t count_ = 0;
  std::size_t step_ = 0;  ///< where the current one begins
  std::size_t value_ = 0; ///< where its value begins
};

/// Takes the first step off `rest`; none at its end, or where it is no step (then `rest` is not
/// empty).
std::optional<log_step> next_step(byte_view& rest) noexcept;

// -- records --------------------------------------------------------------------------------------

inline constexpr std::size_t log_page_bytes = 4'096;
inline constexpr std::size_t log_record_head_bytes = 40;
/// What fits into one record. A record that is longer than a segment makes its file longer.
inline constexpr std::size_t log_payload_bytes_max = 64u << 20;

/// What a log and a segment of it are known by.
struct log_identity {
  std::uint64_t id = 0;
  std::uint64_t generation = 0;
};

/// The first page of a segment.
struct log_segment_head {
  log_identity of;
  std::uint64_t first_lsn = 0; ///< records of segments before it count up to here, exclusive
};

using log_page = std::array<std::uint8_t, log_page_bytes>;
log_page encode_head(const log_segment_head& h) noexcept;
/// None if it is damaged, of a newer version, or none.
std::optional<log_segment_head> decode_head(byte_view page) noexcept;

using log_record_head = std::array<std::uint8_t, log_record_head_bytes>;
/// The head of a record whose payload lies in pieces.
log_record_head encode_record_head(const log_identity& of, std::uint64_t lsn,
                                   std::span<const byte_view> payload) noexcept;
/// Bytes that a record takes in its file.
constexpr std::size_t log_record_bytes(std::size_t payload) noexcept {
  return (log_record_head_bytes + payload + log_page_bytes - 1) / log_page_bytes * log_page_bytes;
}

/// A record that was found whole. `payload` is a view into what was read.
struct log_record {
  log_identity of;
  std::uint64_t lsn = 0;
  std::size_t at = 0; ///< its place in the segment
  byte_view payload;
};
/// The record at `at` of a segment; none if there is no whole one.
std::optional<log_record> decode_record(byte_view segment, std::size_t at) noexcept;

} // namespace ron::core::store
