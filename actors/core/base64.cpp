#include "core/base64.hpp"

#include <array>

namespace ron::core {

namespace {

constexpr char standard[]
  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr char url_safe[]
  = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::uint8_t no_digit = 0xff;

consteval std::array<std::uint8_t, 256> inverse(const char* alphabet) {
  std::array<std::uint8_t, 256> out{};
  out.fill(no_digit);
  for (std::uint8_t i = 0; i < 64; ++i)
    out[static_cast<std::uint8_t>(alphabet[i])] = i;
  return out;
}

constexpr auto standard_inverse = inverse(standard);
constexpr auto url_safe_inverse = inverse(url_safe);

void encode(std::string& out, byte_view v, const char* alphabet, bool pad) {
  out.reserve(out.size() + (v.size() + 2) / 3 * 4);
  std::size_t i = 0;
  for (; i + 3 <= v.size(); i += 3) {
    auto x = static_cast<std::uint32_t>(v[i]) << 16 | static_cast<std::uint32_t>(v[i + 1]) << 8
             | v[i + 2];
    out += alphabet[x >> 18];
    out += alphabet[x >> 12 & 63];
    out += alphabet[x >> 6 & 63];
    out += alphabet[x & 63];
  }
  auto rest = v.size() - i;
  if (rest == 0)
    return;
  auto x = static_cast<std::uint32_t>(v[i]) << 16;
  if (rest == 2)
    x |= static_cast<std::uint32_t>(v[i + 1]) << 8;
  out += alphabet[x >> 18];
  out += alphabet[x >> 12 & 63];
  if (rest == 2)
    out += alphabet[x >> 6 & 63];
  if (pad)
    out.append(rest == 2 ? "=" : "==");
}

/// `text` without padding.
std::optional<bytes> decode(std::string_view text, const std::array<std::uint8_t, 256>& digit) {
  auto tail = text.size() % 4;
  if (tail == 1)
    return std::nullopt;
  if (text.empty())
    return bytes{};
  auto size = text.size() / 4 * 3 + (tail == 0 ? 0 : tail - 1);
  slab out{size};
  auto* p = out.room().data();
  std::uint32_t x = 0;
  std::uint8_t bad = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto d = digit[static_cast<std::uint8_t>(text[i])];
    bad |= static_cast<std::uint8_t>(d & 0x80);
    x = x << 6 | (d & 63u);
    if (i % 4 == 3) {
      *p++ = static_cast<std::uint8_t>(x >> 16);
      *p++ = static_cast<std::uint8_t>(x >> 8);
      *p++ = static_cast<std::uint8_t>(x);
      x = 0;
    }
  }
  if (bad != 0)
    return std::nullopt;
  if (tail == 2) {
    if ((x & 15) != 0)
      return std::nullopt;
    *p++ = static_cast<std::uint8_t>(x >> 4);
  } else if (tail == 3) {
    if ((x & 3) != 0)
      return std::nullopt;
    *p++ = static_cast<std::uint8_t>(x >> 10);
    *p++ = static_cast<std::uint8_t>(x >> 2);
  }
  out.commit(size);
  return out.cut(0, size);
}

} // namespace

void base64_append(std::string& out, byte_view v) {
  encode(out, v, standard, true);
}

std::string base64_encode(byte_view v) {
  std::string out;
  encode(out, v, standard, true);
  return out;
}

std::string base64url_encode(byte_view v) {
  std::string out;
  encode(out, v, url_safe, false);
  return out;
}

std::optional<bytes> base64_decode(std::string_view text) {
  if (text.size() % 4 != 0)
    return std::nullopt;
  for (int pad = 0; pad < 2 && text.ends_with('='); ++pad)
    text.remove_suffix(1);
  return decode(text, standard_inverse);
}

std::optional<bytes> base64url_decode(std::string_view text) {
  return decode(text, url_safe_inverse);
}

} // namespace ron::core
