#include "core/ids.hpp"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <sys/random.h>

namespace ron::core {

namespace {

constexpr char crockford[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

int crockford_digit(char c) noexcept {
  if (c >= 'a' && c <= 'z')
    c = static_cast<char>(c - 'a' + 'A');
  const auto* p = c == '\0' ? nullptr : std::strchr(crockford, c);
  return p == nullptr ? -1 : static_cast<int>(p - crockford);
}

bool lower_hex(std::string_view s) noexcept {
  return std::ranges::all_of(
    s, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool any_hex(char c) noexcept {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool is_uuid(std::string_view s) noexcept {
  if (s.size() != 36)
    return false;
  for (std::size_t i = 0; i < s.size(); ++i) {
    bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? s[i] != '-' : !any_hex(s[i]))
      return false;
  }
  return true;
}

bool all_zero(byte_view v) noexcept {
  return std::ranges::all_of(v, [](std::uint8_t b) { return b == 0; });
}

std::uint64_t big_endian(const std::uint8_t* at) noexcept {
  std::uint64_t x = 0;
  std::memcpy(&x, at, sizeof x);
  return std::endian::native == std::endian::little ? std::byteswap(x) : x;
}

/// Twelve digits for the lowest 60 bits.
void put_digits(char* to, std::uint64_t bits) noexcept {
  for (int i = 11; i >= 0; --i, bits >>= 5)
    to[i] = crockford[bits & 31];
}

} // namespace

void random_bytes(std::span<std::uint8_t> out) noexcept {
  while (!out.empty()) {
    auto n = ::getrandom(out.data(), out.size(), 0);
    if (n < 0 && errno == EINTR)
      continue;
    if (n <= 0) {
      std::fputs("fatal: getrandom failed\n", stderr);
      std::abort();
    }
    out = out.subspan(static_cast<std::size_t>(n));
  }
}

bool equal_secret(byte_view a, byte_view b) noexcept {
  if (a.size() != b.size())
    return false;
  std::uint8_t diff = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    diff |= static_cast<std::uint8_t>(a[i] ^ b[i]);
    asm volatile("" : "+r"(diff)); // the compiler must not leave the loop early
  }
  return diff == 0;
}

std::string cid::to_text() const {
  return "b3:" + to_hex(hash);
}

std::optional<cid> cid::parse(std::string_view text) noexcept {
  cid out;
  if (text.size() != text_size || !text.starts_with("b3:") || !lower_hex(text.substr(3)))
    return std::nullopt;
  from_hex(text.substr(3), out.hash);
  return out;
}

std::string tenant::to_text() const {
  return to_hex(id);
}

std::optional<tenant> tenant::parse(std::string_view text) noexcept {
  tenant out;
  if (text.size() != out.id.size() * 2 || !lower_hex(text))
    return std::nullopt;
  from_hex(text, out.id);
  return out;
}

std::int64_t ulid::time_ms() const noexcept {
  std::int64_t t = 0;
  for (std::size_t i = 0; i < 6; ++i)
    t = t << 8 | value[i];
  return t;
}

std::array<char, ulid::text_size> ulid::digits() const noexcept {
  std::array<char, text_size> out{};
  // 26 digits are 130 bits, the first two always zero.
  const auto high = big_endian(value.data());
  const auto low = big_endian(value.data() + 8);
  out[0] = crockford[high >> 61];
  out[1] = crockford[high >> 56 & 31];
  put_digits(out.data() + 2, high << 4 | low >> 60);
  put_digits(out.data() + 14, low);
  return out;
}

std::string ulid::to_text() const {
  const auto t = digits();
  return {t.data(), t.size()};
}

std::optional<ulid> ulid::parse(std::string_view text) noexcept {
  if (text.size() != text_size || text[0] > '7')
    return std::nullopt;
  ulid out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    auto digit = crockford_digit(text[i]);
    if (digit < 0)
      return std::nullopt;
    for (std::size_t bit = 0; bit < 5; ++bit) {
      auto pos = i * 5 + bit;
      if (pos >= 2 && (digit >> (4 - bit) & 1) != 0)
        out.value[(pos - 2) / 8] |= static_cast<std::uint8_t>(1u << (7 - (pos - 2) % 8));
    }
  }
  return out;
}

corr_id::corr_id(const ulid& u) : size_(ulid::text_size) {
  const auto t = u.digits();
  std::ranges::copy(t, text_.begin());
}

std::optional<corr_id> corr_id::parse(std::string_view text) noexcept {
  if (!is_uuid(text) && !ulid::parse(text))
    return std::nullopt;
  corr_id out;
  std::ranges::copy(text, out.text_.begin());
  out.size_ = static_cast<std::uint8_t>(text.size());
  return out;
}

std::string trace_context::to_text() const {
  constexpr char digits[] = "0123456789abcdef";
  std::string out(55, '-');
  std::size_t at = 0;
  auto add = [&](byte_view v) {
    for (const auto b : v) {
      out[at++] = digits[b >> 4];
      out[at++] = digits[b & 15];
    }
    ++at;
  };
  add(std::array<std::uint8_t, 1>{});
  add(trace_id);
  add(parent_id);
  add(std::array<std::uint8_t, 1>{flags});
  return out;
}

std::optional<trace_context> trace_context::parse(std::string_view text) noexcept {
  // 00-<32 hex>-<16 hex>-<2 hex>; a later version may append "-..." and we read our part of it.
  if (text.size() < 55 || text[2] != '-' || text[35] != '-' || text[52] != '-')
    return std::nullopt;
  auto version = text.substr(0, 2);
  if (!lower_hex(version) || version == "ff")
    return std::nullopt;
  if (text.size() > 55 && (version == "00" || text[55] != '-'))
    return std::nullopt;
  auto trace = text.substr(3, 32);
  auto parent = text.substr(36, 16);
  auto flags = text.substr(53, 2);
  if (!lower_hex(trace) || !lower_hex(parent) || !lower_hex(flags))
    return std::nullopt;
  trace_context out;
  std::array<std::uint8_t, 1> bits{};
  from_hex(trace, out.trace_id);
  from_hex(parent, out.parent_id);
  from_hex(flags, bits);
  if (all_zero(out.trace_id) || all_zero(out.parent_id))
    return std::nullopt;
  out.flags = bits[0];
  return out;
}

ulid id_source::next_ulid(std::int64_t wall_ms) noexcept {
  constexpr std::int64_t time_max = (std::int64_t{1} << 48) - 1;
  wall_ms = std::clamp<std::int64_t>(wall_ms, 0, time_max);
  if (wall_ms > last_.time_ms()) {
    for (std::size_t i = 0; i < 6; ++i)
      last_.value[i] = static_cast<std::uint8_t>(wall_ms >> 8 * (5 - i));
    take(std::span{last_.value}.subspan(6));
    last_.value[6] &= 0x7f; // leaves room to count up within the millisecond
    return last_;
  }
  // The same millisecond, or the clock went back: count up. A carry out of the random part moves
  // on to the next millisecond, which keeps the order.
  for (std::size_t i = last_.value.size(); i-- > 0;)
    if (++last_.value[i] != 0)
      break;
  return last_;
}

trace_context id_source::new_trace() noexcept {
  trace_context out;
  do
    take(out.trace_id);
  while (all_zero(out.trace_id));
  return child_of(out);
}

trace_context id_source::child_of(const trace_context& t) noexcept {
  trace_context out = t;
  do
    take(out.parent_id);
  while (all_zero(out.parent_id));
  out.flags &= 1; // the only bit of version 00
  return out;
}

void id_source::take(std::span<std::uint8_t> out) noexcept {
  if (pool_.size() - used_ < out.size()) {
    random_bytes(pool_);
    used_ = 0;
  }
  std::copy_n(pool_.begin() + static_cast<std::ptrdiff_t>(used_), out.size(), out.begin());
  used_ += out.size();
}

} // namespace ron::core
