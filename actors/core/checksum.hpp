#pragma once

#include "core/bytes.hpp"

#include <cstdint>
#include <span>

namespace ron::core {

/// XXH64 of the bytes of all pieces together, which a disk or a stray write does not change without
/// changing it. Ten times as fast as BLAKE3 for a few hundred bytes, but whoever chooses the bytes
/// can find others with the same sum: nothing that a stranger must not forge rests on it. Pure.
/// Source: the xxHash fast digest algorithm, version 0.1.1.
std::uint64_t checksum(std::span<const byte_view> pieces) noexcept;

} // namespace ron::core
