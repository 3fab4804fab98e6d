#pragma once

#include "core/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <span>

namespace ron::core::store {

/// True if all pages of `v`, a part of a mapped file, are in memory, so that reading them does not
/// wait for a disk. A system call, some 0.3 us for 64 KiB. At most `residency_bytes_max` bytes are
/// looked at. Any thread.
bool resident(byte_view v) noexcept;

/// Brings `v`, a part of a mapped file, into memory and waits for it, in one system call instead of
/// a fault for each few pages. False if it cannot be read: touching it would end the process
/// (SIGBUS). Not on a shard.
bool load(byte_view v) noexcept;

inline constexpr std::size_t residency_bytes_max = 1u << 20;

/// What came of copying bytes out of a mapped file.
enum class copied : std::uint8_t {
  yes,
  not_in_memory, ///< and the caller does not wait for a disk
  unreadable,    ///< the disk has lost it, or the file is shorter
};

/// The file behind a map. Bytes of the map are copied by reading the file: one system call that
/// also says whether they are in memory, maps no page and goes through the kernel's large pages,
/// where a copy out of the map pays for each 4 KiB. Any thread.
class mapped_file {
public:
  /// No file is known: bytes are copied out of the map.
  mapped_file() noexcept = default;
  /// `fd` stays open while this is used; all of the file is mapped, from its begin on. Without a
  /// mapping in /proc/self/maps it is as if no file were known.
  static mapped_file of(int fd);

  /// Copies `v`, a part of the map, to `to`, which is as long. `may_wait`: not on a shard.
  copied copy(byte_view v, std::span<std::uint8_t> to, bool may_wait) const noexcept;
  /// Has the kernel begin to read `v`, a part of the map, as far as it is not in memory, and does
  /// not wait for it. Nothing where no file is known. Not on a shard.
  void read_ahead(byte_view v) const noexcept;
  /// From now on nothing is read that nobody asked for: neither around what is touched in the map
  /// nor behind what is copied.
  void read_nothing_else() const noexcept;

  bool known() const noexcept { return begin_ != nullptr; }
  /// Where it is mapped; as long as the map, which may be longer than the file. Empty: not known.
  byte_view map() const noexcept { return {begin_, length_}; }

private:
  bool holds(byte_view v) const noexcept;

  int fd_ = -1;
  const std::uint8_t* begin_ = nullptr;
  std::size_t length_ = 0; ///< of the map
};

} // namespace ron::core::store
