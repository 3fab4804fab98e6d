#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ron::mailbox {

/// A receipt is "<sequence>.<nonce>" in hex: the place to look and a number nobody can guess.
inline std::string make_receipt(std::uint64_t seq, std::uint64_t nonce) {
  char text[40];
  auto r = std::to_chars(text, text + sizeof text, seq, 16);
  *r.ptr++ = '.';
  r = std::to_chars(r.ptr, text + sizeof text, nonce, 16);
  return {text, r.ptr};
}

/// Sequence and nonce; nothing if `text` is no receipt.
inline std::optional<std::pair<std::uint64_t, std::uint64_t>>
parse_receipt(std::string_view text) noexcept {
  std::uint64_t seq = 0;
  std::uint64_t nonce = 0;
  auto* end = text.data() + text.size();
  auto a = std::from_chars(text.data(), end, seq, 16);
  if (a.ec != std::errc{} || a.ptr == end || *a.ptr != '.')
    return std::nullopt;
  auto b = std::from_chars(a.ptr + 1, end, nonce, 16);
  if (b.ec != std::errc{} || b.ptr != end)
    return std::nullopt;
  return std::pair{seq, nonce};
}

} // namespace ron::mailbox
