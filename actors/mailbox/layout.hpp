#pragma once

#include "core/clock.hpp"
#include "core/store/key.hpp"
#include "core/store/transaction.hpp"
#include "mailbox/change.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// How mail lies in LMDB. Numbers are big-endian, times Unix milliseconds.
///
/// | table    | key                  | value                                                    |
/// |----------|----------------------|----------------------------------------------------------|
/// | mail     | bucket u16, seq u64  | state as accepted, then what never changes, payload last |
/// | states   | bucket u16, seq u64  | state, once it differs from the one in `mail`            |
/// | sends    | bucket u16, slot 32  | until u64, body hash 32, message id, caller              |
/// | damaged  | table u8, its key    | the value that was found under that key                  |
/// | counters | "seq", "topics"      | highest sequence number u64; key that spreads topics 16  |
///
/// Each value of the first three ends with eight bytes of a hash of its key and itself.
namespace ron::mailbox::layout {

namespace lmdb = core::store;

inline constexpr std::uint32_t format = 1;
inline constexpr std::uint32_t min_reader = 1;

inline constexpr lmdb::table mail{0};
inline constexpr lmdb::table states{1};
inline constexpr lmdb::table sends{2};
inline constexpr lmdb::table counters{3};
inline constexpr lmdb::table damaged{4};
std::vector<std::string> table_names();

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

/// Changes as the store makes them, in order. All keys and values lie in one block.
class writes {
public:
  /// `value` replaces what is under `key`; none removes it. Valid until the next `add`.
  struct one {
    lmdb::table to{};
    core::byte_view key;
    std::optional<core::byte_view> value;
  };

  /// Room for about so much.
  void reserve(std::size_t changes, std::size_t bytes);
  void add(const change& c, const time_frame& at);

  std::size_t size() const noexcept { return steps_.size(); }
  one operator[](std::size_t i) const noexcept;
  /// Of all keys and values so far.
  std::size_t bytes() const noexcept { return block_.size(); }

private:
  struct step {
    lmdb::table to{};
    bool removes = false;
    std::uint32_t key_size = 0;
    std::size_t key = 0; ///< its place in the block; the value lies behind it
    std::size_t end = 0;
  };
  friend class packer;

  std::vector<std::uint8_t> block_;
  std::vector<step> steps_;
};

/// Errors: bad_digest if the value is damaged.
core::result<stored_mail> decode_mail(core::byte_view key, core::byte_view value,
                                      const time_frame& at);
core::result<mail_state> decode_state(core::byte_view key, core::byte_view value,
                                      const time_frame& at);
core::result<stored_send> decode_send(core::byte_view key, core::byte_view value,
                                      const time_frame& at);

} // namespace ron::mailbox::layout
