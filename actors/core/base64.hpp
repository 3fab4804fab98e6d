#pragma once

#include "core/bytes.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace ron::core {

/// RFC 4648, section 4: with padding.
std::string base64_encode(byte_view v);
void base64_append(std::string& out, byte_view v);
/// RFC 4648, section 5: the URL-safe alphabet, without padding.
std::string base64url_encode(byte_view v);

/// Strict inverses: exactly what the encoder would write and nothing else. No white space, no
/// missing or extra padding, no other alphabet, unused bits zero.
std::optional<bytes> base64_decode(std::string_view text);
std::optional<bytes> base64url_decode(std::string_view text);

} // namespace ron::core
