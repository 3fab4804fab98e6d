#pragma once

#include "core/bytes.hpp"

#include <array>
#include <cstdint>

namespace ron::core::crypto {

using sha256_digest = std::array<std::uint8_t, 32>;

/// SHA-256 of `data` (FIPS 180-4). Any thread.
sha256_digest sha256(byte_view data);

/// HMAC with SHA-256 (RFC 2104). Any thread.
sha256_digest hmac_sha256(byte_view key, byte_view data);

/// Whether two digests are the same, in a time that does not tell where they differ.
bool equal_secrets(const sha256_digest& a, const sha256_digest& b) noexcept;

} // namespace ron::core::crypto
