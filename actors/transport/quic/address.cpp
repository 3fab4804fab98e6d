#include "transport/quic/address.hpp"

#include <netinet/in.h>

#include <algorithm>
#include <cstring>

namespace ron::transport::quic {

address address::of(const sockaddr* from, socklen_t size) {
  address out;
  out.size = std::min<socklen_t>(size, sizeof out.storage);
  std::memcpy(&out.storage, from, out.size);
  return out;
}

address address::loopback(std::uint16_t port) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = htons(port);
  in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return of(reinterpret_cast<const sockaddr*>(&in), sizeof in);
}

bool address::operator==(const address& o) const noexcept {
  return size == o.size && std::memcmp(&storage, &o.storage, size) == 0;
}

connection_id connection_id::of(const std::uint8_t* data, std::size_t size) noexcept {
  connection_id out;
  out.size = static_cast<std::uint8_t>(std::min(size, size_max));
  if (out.size != 0)
    std::memcpy(out.bytes.data(), data, out.size);
  return out;
}

} // namespace ron::transport::quic
