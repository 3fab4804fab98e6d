#include "core/utf8.hpp"

#include <cstdint>
#include <cstring>

namespace ron::core {

namespace {

constexpr std::string_view replacement = "\xef\xbf\xbd"; // U+FFFD

constexpr std::uint8_t at(std::string_view s, std::size_t i) noexcept {
  return static_cast<std::uint8_t>(s[i]);
}

constexpr bool continuation(std::string_view s, std::size_t i) noexcept {
  return i < s.size() && (at(s, i) & 0xc0) == 0x80;
}

/// True for characters that a terminal obeys or that reorder a line: C1 controls, U+2028 and
/// U+2029, bidirectional embeddings, overrides and isolates. `n` is the sequence's length.
bool needs_escape(std::string_view s, std::size_t n) noexcept {
  if (n == 2)
    return at(s, 0) == 0xc2 && at(s, 1) < 0xa0;
  if (n != 3 || at(s, 0) != 0xe2)
    return false;
  auto low = at(s, 2);
  return (at(s, 1) == 0x80 && low >= 0xa8 && low <= 0xae) // U+2028..U+202E
         || (at(s, 1) == 0x81 && low >= 0xa6 && low <= 0xa9); // U+2066..U+2069
}

void append_u(std::string& out, unsigned code) {
  static constexpr char digits[] = "0123456789abcdef";
  out += "\\u";
  for (int shift = 12; shift >= 0; shift -= 4)
    out += digits[code >> shift & 15];
}

void append_control(std::string& out, char c) {
  switch (c) {
    case '"': out += "\\\""; break;
    case '\\': out += "\\\\"; break;
    case '\b': out += "\\b"; break;
    case '\f': out += "\\f"; break;
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\t': out += "\\t"; break;
    default: append_u(out, static_cast<std::uint8_t>(c));
  }
}

unsigned code_point(std::string_view s, std::size_t n) noexcept {
  if (n == 2)
    return static_cast<unsigned>(at(s, 0) & 0x1f) << 6 | (at(s, 1) & 0x3fu);
  return static_cast<unsigned>(at(s, 0) & 0x0f) << 12 | (at(s, 1) & 0x3fu) << 6
         | (at(s, 2) & 0x3fu);
}

constexpr bool plain(char c) noexcept {
  auto u = static_cast<std::uint8_t>(c);
  return u >= 0x20 && u < 0x7f && u != '"' && u != '\\';
}

} // namespace

std::size_t utf8_sequence(std::string_view s) noexcept {
  if (s.empty())
    return 0;
  auto b = at(s, 0);
  if (b < 0x80)
    return 1;
  if (b < 0xc2)
    return 0;
  if (b < 0xe0)
    return continuation(s, 1) ? 2 : 0;
  if (b < 0xf0) {
    if (!continuation(s, 1) || !continuation(s, 2))
      return 0;
    if (b == 0xe0 && at(s, 1) < 0xa0)
      return 0; // overlong
    return b == 0xed && at(s, 1) >= 0xa0 ? 0 : 3; // surrogates
  }
  if (b > 0xf4 || !continuation(s, 1) || !continuation(s, 2) || !continuation(s, 3))
    return 0;
  if (b == 0xf0 && at(s, 1) < 0x90)
    return 0; // overlong
  return b == 0xf4 && at(s, 1) >= 0x90 ? 0 : 4; // above U+10FFFF
}

bool valid_utf8(std::string_view s) noexcept {
  while (!s.empty()) {
    if (s.size() >= 8) { // eight ASCII bytes at a time
      std::uint64_t word;
      std::memcpy(&word, s.data(), sizeof(word));
      if ((word & 0x8080808080808080u) == 0) {
        s.remove_prefix(8);
        continue;
      }
    }
    if (at(s, 0) < 0x80) {
      s.remove_prefix(1);
      continue;
    }
    auto n = utf8_sequence(s);
    if (n == 0)
      return false;
    s.remove_prefix(n);
  }
  return true;
}

std::string_view clip_utf8(std::string_view s, std::size_t max_bytes) noexcept {
  if (s.size() <= max_bytes)
    return s;
  auto n = max_bytes;
  for (int back = 0; back < 3 && n > 0 && continuation(s, n); ++back)
    --n;
  return s.substr(0, n);
}

std::string repair_utf8(std::string_view s) {
  std::string out;
  while (!s.empty()) {
    auto n = utf8_sequence(s);
    out += n == 0 ? replacement : s.substr(0, n);
    s.remove_prefix(n == 0 ? 1 : n);
  }
  return out;
}

void append_json_escaped(std::string& out, std::string_view s) {
  while (!s.empty()) {
    std::size_t run = 0;
    while (run < s.size() && plain(s[run]))
      ++run;
    out.append(s.substr(0, run));
    s.remove_prefix(run);
    if (s.empty())
      return;
    auto n = utf8_sequence(s);
    if (n == 0) {
      out += replacement;
      n = 1;
    } else if (n == 1) {
      append_control(out, s[0]);
    } else if (needs_escape(s, n)) {
      append_u(out, code_point(s, n));
    } else {
      out.append(s.substr(0, n));
    }
    s.remove_prefix(n);
  }
}

} // namespace ron::core
