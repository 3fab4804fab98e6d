#pragma once

#include <array>
#include <string_view>

/// Character classes and small words of HTTP fields (RFC 9110, 5.5 and 5.6), one place for all.
namespace ron::http {

/// One flag per byte value.
using byte_class = std::array<bool, 256>;

/// The bytes of `marks`, and letters and digits.
consteval byte_class alphanumeric_and(std::string_view marks) {
  byte_class t{};
  for (int c = 0; c < 256; ++c)
    t[static_cast<std::size_t>(c)] =
      (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  for (char c : marks)
    t[static_cast<unsigned char>(c)] = true;
  return t;
}

inline constexpr byte_class token_bytes = alphanumeric_and("!#$%&'*+-.^_`|~");

constexpr bool all_in(std::string_view s, const byte_class& t) noexcept {
  for (char c : s)
    if (!t[static_cast<unsigned char>(c)])
      return false;
  return true;
}

constexpr bool is_token(std::string_view s) noexcept {
  return !s.empty() && all_in(s, token_bytes);
}

/// No control bytes but the tab; bytes above ASCII are opaque.
constexpr bool is_field_value(std::string_view s) noexcept {
  for (char c : s)
    if ((static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f)
      return false;
  return true;
}

constexpr bool is_blank(char c) noexcept {
  return c == ' ' || c == '\t';
}

/// Without the spaces and tabs around it.
constexpr std::string_view trim(std::string_view s) noexcept {
  while (!s.empty() && is_blank(s.front()))
    s.remove_prefix(1);
  while (!s.empty() && is_blank(s.back()))
    s.remove_suffix(1);
  return s;
}

/// Takes the text before the next `mark` off `rest`, trimmed.
constexpr std::string_view take_until(std::string_view& rest, char mark) noexcept {
  auto end = rest.find(mark);
  auto out = trim(rest.substr(0, end));
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return out;
}

/// True when `a` and `b` are equal but for ASCII case.
constexpr bool iequals(std::string_view a, std::string_view b) noexcept {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; };
  if (a.size() != b.size())
    return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if (lower(a[i]) != lower(b[i]))
      return false;
  return true;
}

} // namespace ron::http
