#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ron::core {

/// Length of the well-formed UTF-8 sequence (RFC 3629) at the start of `s`; 0 if there is none.
/// Overlong forms, surrogates and code points above U+10FFFF are not well formed.
std::size_t utf8_sequence(std::string_view s) noexcept;

/// True if all of `s` is well-formed UTF-8.
bool valid_utf8(std::string_view s) noexcept;

/// The longest prefix of `s` of at most `max_bytes` that does not cut a sequence.
std::string_view clip_utf8(std::string_view s, std::size_t max_bytes) noexcept;

/// `s` with U+FFFD in place of each byte that is not part of well-formed UTF-8.
std::string repair_utf8(std::string_view s);

/// Appends `s` escaped for the inside of a JSON string; each byte that is not part of well-formed
/// UTF-8 becomes U+FFFD. DEL, C1 controls and bidirectional overrides are escaped too, so that a
/// line is safe on a terminal.
void append_json_escaped(std::string& out, std::string_view s);

} // namespace ron::core
