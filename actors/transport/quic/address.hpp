#pragma once

#include "core/sip_hash.hpp"

#include <sys/socket.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace ron::transport::quic {

/// An IPv4 or IPv6 address with its port, as the kernel writes it.
struct address {
  sockaddr_storage storage{};
  socklen_t size = 0;

  static address of(const sockaddr* from, socklen_t size);
  /// 127.0.0.1 with this port: for tests and for sockets that are not bound yet.
  static address loopback(std::uint16_t port);
  const sockaddr* get() const noexcept { return reinterpret_cast<const sockaddr*>(&storage); }
  bool operator==(const address& o) const noexcept;
};

/// Between which two addresses datagrams travel, and how they are marked.
struct path {
  address local{};
  address remote{};
  std::uint8_t ecn = 0; ///< codepoint of Explicit Congestion Notification (RFC 3168, 5): 0..3
  bool operator==(const path&) const = default;
};

/// RFC 9000, 5.1.
struct connection_id {
  static constexpr std::size_t size_max = 20;

  std::array<std::uint8_t, size_max> bytes{};
  std::uint8_t size = 0;

  static connection_id of(const std::uint8_t* data, std::size_t size) noexcept;
  core::byte_view view() const noexcept { return {bytes.data(), size}; }
  bool operator==(const connection_id& o) const noexcept = default;
};

} // namespace ron::transport::quic

template <>
struct std::hash<ron::transport::quic::connection_id> {
  std::size_t operator()(const ron::transport::quic::connection_id& x) const noexcept {
    return ron::core::keyed_hash(x.view()); // peers choose some of them
  }
};
