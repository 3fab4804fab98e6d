#include "transport/peer_address.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>

namespace ron::transport {

namespace {

peer_key key_v4(const void* address) {
  peer_key out;
  out.bytes[10] = out.bytes[11] = 0xff;
  std::memcpy(out.bytes.data() + 12, address, 4);
  return out;
}

peer_address of_v4(const void* address, std::uint16_t port) {
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, address, text.data(), text.size());
  return {std::string{text.data()} + ":" + std::to_string(port), key_v4(address)};
}

peer_address of_v6(const in6_addr& address, std::uint16_t port) {
  if (IN6_IS_ADDR_V4MAPPED(&address))
    return of_v4(address.s6_addr + 12, port);
  std::array<char, INET6_ADDRSTRLEN> text{};
  inet_ntop(AF_INET6, &address, text.data(), text.size());
  peer_address out{"[" + std::string{text.data()} + "]:" + std::to_string(port), {}};
  std::copy_n(address.s6_addr, 8, out.key.bytes.begin());
  out.key.bytes[15] = 1; // ::1 must not look like nobody
  return out;
}

} // namespace

peer_address peer_address::of(const sockaddr* address) {
  switch (address->sa_family) {
    case AF_INET: {
      sockaddr_in in{};
      std::memcpy(&in, address, sizeof in);
      return of_v4(&in.sin_addr, ntohs(in.sin_port));
    }
    case AF_INET6: {
      sockaddr_in6 in{};
      std::memcpy(&in, address, sizeof in);
      return of_v6(in.sin6_addr, ntohs(in.sin6_port));
    }
    default: return {};
  }
}

} // namespace ron::transport
