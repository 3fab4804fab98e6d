#pragma once

#include "core/bytes.hpp"

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

} // namespace ron::core::store
