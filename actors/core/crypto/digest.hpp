#pragma once

#include "core/bytes.hpp"

#include <array>
#include <cstdint>

namespace ron::core::crypto {

using sha256_digest = std::array<std::uint8_t, 32>;

/// SHA-256 of `data` (FIPS 180-4). Any thread.
sha256_digest sha256(byte_view data);

} // namespace ron::core::crypto
