#pragma once

#include "core/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ron::core {

struct sip_key {
  std::uint64_t k0 = 0;
  std::uint64_t k1 = 0;
};

/// SipHash-1-3 (Aumasson, Bernstein): a keyed hash for tables whose keys a stranger chooses.
std::uint64_t sip_hash_13(sip_key key, byte_view v) noexcept;
/// SipHash-2-4, the variant with published test vectors.
std::uint64_t sip_hash_24(sip_key key, byte_view v) noexcept;

/// SipHash-1-3 under a random key of this process. Not stable between processes: never store or
/// send it. Any thread.
std::size_t keyed_hash(byte_view v) noexcept;
inline std::size_t keyed_hash(std::string_view s) noexcept {
  return keyed_hash(byte_view{reinterpret_cast<const std::uint8_t*>(s.data()), s.size()});
}

/// For `std::unordered_map<std::string, T, keyed_text_hash, std::equal_to<>>` with look-up by
/// `std::string_view`.
struct keyed_text_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const noexcept { return keyed_hash(s); }
};

} // namespace ron::core
