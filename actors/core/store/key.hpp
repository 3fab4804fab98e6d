#pragma once

#include "core/bytes.hpp"

#include <array>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace ron::core::store {

/// The longest key that LMDB takes as Debian builds it.
inline constexpr std::size_t key_bytes_max = 511;

/// A key made of fields, most significant first: integers big-endian, so that keys sort as the
/// numbers do; bytes and text as they are. A variable field belongs at the end, or needs a length
/// or a terminator of its own. No allocation.
class key {
public:
  key() noexcept = default;

  /// `key::of(std::uint64_t{object}, std::uint32_t{group})`; the type decides the width.
  template <std::unsigned_integral... Ts>
  static key of(Ts... fields) noexcept {
    key k;
    (k.add(fields), ...);
    return k;
  }

  template <std::unsigned_integral T>
  key& add(T x) noexcept {
    std::array<std::uint8_t, sizeof(T)> be;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      be[i] = static_cast<std::uint8_t>(x >> 8 * (sizeof(T) - 1 - i));
    return add(byte_view{be});
  }
  /// Bytes beyond `key_bytes_max` are cut off and make the key `overlong`.
  key& add(byte_view v) noexcept {
    auto n = v.size() < data_.size() - size_ ? v.size() : data_.size() - size_;
    overlong_ = overlong_ || n < v.size();
    if (n > 0)
      std::memcpy(data_.data() + size_, v.data(), n);
    size_ += n;
    return *this;
  }
  key& add(std::string_view s) noexcept {
    return add(byte_view{reinterpret_cast<const std::uint8_t*>(s.data()), s.size()});
  }

  byte_view view() const noexcept { return {data_.data(), size_}; }
  bool overlong() const noexcept { return overlong_; }
  // NOLINTNEXTLINE: a key is used where a view of bytes is asked for
  operator byte_view() const noexcept { return view(); }

private:
  std::array<std::uint8_t, key_bytes_max> data_;
  std::size_t size_ = 0;
  bool overlong_ = false;
};

/// The integer that starts at `offset` of a key or value, big-endian; 0 if it is not all there.
template <std::unsigned_integral T>
T load(byte_view v, std::size_t offset = 0) noexcept {
  T x = 0;
  if (v.size() < sizeof(T) || v.size() - sizeof(T) < offset)
    return x;
  for (std::size_t i = 0; i < sizeof(T); ++i)
    x = static_cast<T>(static_cast<T>(x << 7 << 1) | v[offset + i]);
  return x;
}

/// True if `v` starts with `prefix`.
inline bool starts_with(byte_view v, byte_view prefix) noexcept {
  return v.size() >= prefix.size()
         && (prefix.empty() || std::memcmp(v.data(), prefix.data(), prefix.size()) == 0);
}

} // namespace ron::core::store
