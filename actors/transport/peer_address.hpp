#pragma once

#include "core/sip_hash.hpp"

#include <array>
#include <cstdint>
#include <string>

struct sockaddr;

namespace ron::transport {

/// Whom the limit on connections of one peer counts: an IPv4 address, or the /64 of an IPv6
/// address, because one host owns at least that much. All zero for a peer without an address.
struct peer_key {
  std::array<std::uint8_t, 16> bytes{};

  bool operator==(const peer_key&) const = default;
  bool is_none() const noexcept { return *this == peer_key{}; }
};

/// The other end of an accepted socket.
struct peer_address {
  std::string text; ///< "127.0.0.1:4711", "[::1]:4711"; empty on a UNIX socket
  peer_key key;

  /// From what `accept` filled in. An IPv4 address mapped into IPv6 is the IPv4 address.
  static peer_address of(const sockaddr* address);
};

} // namespace ron::transport

template <>
struct std::hash<ron::transport::peer_key> {
  std::size_t operator()(const ron::transport::peer_key& x) const noexcept {
    return ron::core::keyed_hash(x.bytes); // peers choose their addresses
  }
};
