#include "core/sip_hash.hpp"

#include "core/ids.hpp"

#include <bit>

namespace ron::core {

namespace {

std::uint64_t load_le(const std::uint8_t* p, std::size_t n) noexcept {
  std::uint64_t x = 0;
  for (std::size_t i = 0; i < n; ++i)
    x |= static_cast<std::uint64_t>(p[i]) << 8 * i;
  return x;
}

struct sip_state {
  std::uint64_t v0, v1, v2, v3;

  explicit sip_state(sip_key k) noexcept
    : v0(k.k0 ^ 0x736f6d6570736575),
      v1(k.k1 ^ 0x646f72616e646f6d),
      v2(k.k0 ^ 0x6c7967656e657261),
      v3(k.k1 ^ 0x7465646279746573) {
    // nop
  }

  void rounds(int n) noexcept {
    for (int i = 0; i < n; ++i) {
      v0 += v1;
      v1 = std::rotl(v1, 13) ^ v0;
      v0 = std::rotl(v0, 32);
      v2 += v3;
      v3 = std::rotl(v3, 16) ^ v2;
      v0 += v3;
      v3 = std::rotl(v3, 21) ^ v0;
      v2 += v1;
      v1 = std::rotl(v1, 17) ^ v2;
      v2 = std::rotl(v2, 32);
    }
  }
};

template <int Compress, int Finish>
std::uint64_t sip(sip_key key, byte_view v) noexcept {
  sip_state s{key};
  auto absorb = [&s](std::uint64_t m) {
    s.v3 ^= m;
    s.rounds(Compress);
    s.v0 ^= m;
  };
  std::size_t i = 0;
  for (; i + 8 <= v.size(); i += 8)
    absorb(load_le(v.data() + i, 8));
  absorb(load_le(v.data() + i, v.size() - i) | static_cast<std::uint64_t>(v.size()) << 56);
  s.v2 ^= 0xff;
  s.rounds(Finish);
  return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

sip_key random_key() noexcept {
  std::array<std::uint8_t, 16> raw;
  random_bytes(raw);
  return {load_le(raw.data(), 8), load_le(raw.data() + 8, 8)};
}

} // namespace

std::uint64_t sip_hash_13(sip_key key, byte_view v) noexcept {
  return sip<1, 3>(key, v);
}

std::uint64_t sip_hash_24(sip_key key, byte_view v) noexcept {
  return sip<2, 4>(key, v);
}

std::size_t keyed_hash(byte_view v) noexcept {
  static const sip_key key = random_key();
  return static_cast<std::size_t>(sip_hash_13(key, v));
}

} // namespace ron::core
