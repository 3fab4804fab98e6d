#include "transport/quic/udp_socket.hpp"

#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif

namespace ron::transport::quic {

namespace {

constexpr std::size_t control_bytes = 128;

struct read_room {
  std::array<std::array<std::uint8_t, udp_socket::read_bytes>, udp_socket::reads_max> bytes;
};

/// One per shard is enough: what is read is dealt with before the next read.
read_room& scratch() {
  thread_local const auto room = std::make_unique<read_room>();
  return *room;
}

std::unexpected<core::error> os_fail(const std::string& where, const char* what, int number) {
  auto code = core::ec::internal;
  switch (number) {
  case EADDRINUSE:
    code = core::ec::conflict;
    break;
  case EADDRNOTAVAIL:
  case EAFNOSUPPORT:
    code = core::ec::bad_request;
    break;
  case EACCES:
  case EPERM:
    code = core::ec::forbidden;
    break;
  default:
    break;
  }
  return core::fail(code, where + ": " + what + ": " + std::system_category().message(number));
}

bool set_option(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

bool is_any(const address& a) {
  if (a.storage.ss_family == AF_INET) {
    sockaddr_in in{};
    std::memcpy(&in, &a.storage, sizeof in);
    return in.sin_addr.s_addr == htonl(INADDR_ANY);
  }
  sockaddr_in6 in{};
  std::memcpy(&in, &a.storage, sizeof in);
  return IN6_IS_ADDR_UNSPECIFIED(&in.sin6_addr);
}

std::uint16_t port_of(const address& a) {
  std::uint16_t port = 0; // at the same place for both families
  std::memcpy(&port, reinterpret_cast<const char*>(&a.storage) + offsetof(sockaddr_in, sin_port),
              sizeof port);
  return ntohs(port);
}

/// What every QUIC socket has; none of it is a must.
void tune(int fd, int family, std::size_t buffer_bytes) {
  set_option(fd, SOL_SOCKET, SO_RCVBUF, static_cast<int>(buffer_bytes));
  set_option(fd, SOL_SOCKET, SO_SNDBUF, static_cast<int>(buffer_bytes));
  set_option(fd, SOL_UDP, UDP_GRO, 1);
  // Datagrams are never cut on the way: path MTU discovery is QUIC's own (RFC 9000, 14).
  if (family == AF_INET6) {
    set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1);
    set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1);
  } else {
    set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
    set_option(fd, IPPROTO_IP, IP_PKTINFO, 1);
    set_option(fd, IPPROTO_IP, IP_RECVTOS, 1);
  }
}

/// The number of the socket is a byte of the datagram modulo `count`: the first of the connection
/// id, wherever the header has it. A datagram that is too short goes to the first socket.
bool steer_by_id(int fd, std::size_t count) {
  std::array<sock_filter, 7> program{{
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0),
    BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x80, 0, 2),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 6),
    BPF_JUMP(BPF_JMP | BPF_JA, 1, 0, 0),
    BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 1),
    BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, static_cast<std::uint32_t>(count)),
    BPF_STMT(BPF_RET | BPF_A, 0),
  }};
  const sock_fprog code{static_cast<unsigned short>(program.size()), program.data()};
  return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &code, sizeof code) == 0;
}

/// The first one binds without SO_REUSEPORT, or a socket of another process that has it would
/// silently share the port.
core::result<unique_fd> bind_one(const address& to, bool first, std::size_t buffer_bytes,
                                 const std::string& where) {
  const int family = to.storage.ss_family;
  unique_fd fd{::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd)
    return os_fail(where, "socket", errno);
  tune(fd.get(), family, buffer_bytes);
  if (!first && !set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1))
    return os_fail(where, "SO_REUSEPORT", errno);
  if (::bind(fd.get(), to.get(), to.size) != 0)
    return os_fail(where, "bind", errno);
  if (first && !set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1))
    return os_fail(where, "SO_REUSEPORT", errno);
  return fd;
}

/// Where the datagram went to, if the kernel said so, and how it was marked.
void read_control(msghdr& message, path& from, std::size_t& segment) {
  constexpr unsigned ecn_bits = 3; // of what IPv4 calls type of service and IPv6 traffic class
  auto& local = from.local;
  for (auto* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level == SOL_UDP && c->cmsg_type == UDP_GRO) {
      int size = 0;
      std::memcpy(&size, CMSG_DATA(c), sizeof size);
      segment = static_cast<std::size_t>(std::max(size, 1));
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_TOS) {
      from.ecn = *CMSG_DATA(c) & ecn_bits;
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_TCLASS) {
      int bits = 0;
      std::memcpy(&bits, CMSG_DATA(c), sizeof bits);
      from.ecn = static_cast<unsigned>(bits) & ecn_bits;
    } else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      auto* in = reinterpret_cast<char*>(&local.storage) + offsetof(sockaddr_in, sin_addr);
      std::memcpy(in, &info.ipi_addr, sizeof info.ipi_addr);
    } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(c), sizeof info);
      auto* in = reinterpret_cast<char*>(&local.storage) + offsetof(sockaddr_in6, sin6_addr);
      std::memcpy(in, &info.ipi6_addr, sizeof info.ipi6_addr);
    }
  }
}

template <class T>
void add_control(msghdr& message, int level, int type, const T& value) {
  auto* c =
    reinterpret_cast<cmsghdr*>(static_cast<char*>(message.msg_control) + message.msg_controllen);
  c->cmsg_level = level;
  c->cmsg_type = type;
  c->cmsg_len = CMSG_LEN(sizeof value);
  std::memcpy(CMSG_DATA(c), &value, sizeof value);
  message.msg_controllen += CMSG_SPACE(sizeof value);
}

void add_mark(msghdr& message, const path& to) {
  const int bits = to.ecn;
  if (to.remote.storage.ss_family == AF_INET)
    add_control(message, IPPROTO_IP, IP_TOS, bits);
  else
    add_control(message, IPPROTO_IPV6, IPV6_TCLASS, bits);
}

/// The answer leaves from the address that was asked.
void add_source(msghdr& message, const address& local) {
  if (local.storage.ss_family == AF_INET) {
    in_pktinfo info{};
    sockaddr_in in{};
    std::memcpy(&in, &local.storage, sizeof in);
    info.ipi_spec_dst = in.sin_addr;
    add_control(message, IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    sockaddr_in6 in{};
    std::memcpy(&in, &local.storage, sizeof in);
    info.ipi6_addr = in.sin6_addr;
    add_control(message, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
}

} // namespace

udp_socket::udp_socket(unique_fd fd)
    : fd_(std::move(fd)), local_(local_address(fd_.get())), any_address_(is_any(local_)) {
  // nop
}

udp_socket::taken
udp_socket::receive(const std::function<void(const path& from, core::byte_view datagram)>& f,
                    std::size_t reads) {
  auto& room = scratch();
  std::array<mmsghdr, reads_max> messages{};
  std::array<iovec, reads_max> slices{};
  std::array<sockaddr_storage, reads_max> senders{};
  alignas(cmsghdr) std::array<std::array<char, control_bytes>, reads_max> controls;
  reads = std::min(reads, reads_max);
  for (std::size_t i = 0; i < reads; ++i) {
    slices[i] = {room.bytes[i].data(), room.bytes[i].size()};
    auto& m = messages[i].msg_hdr;
    m.msg_name = &senders[i];
    m.msg_namelen = sizeof senders[i];
    m.msg_iov = &slices[i];
    m.msg_iovlen = 1;
    m.msg_control = controls[i].data();
    m.msg_controllen = controls[i].size();
  }
  const int n =
    ::recvmmsg(fd_.get(), messages.data(), static_cast<unsigned>(reads), MSG_DONTWAIT, nullptr);
  taken out{.all = n < static_cast<int>(reads)};
  for (int i = 0; i < n; ++i) {
    const auto k = static_cast<std::size_t>(i);
    auto& m = messages[k].msg_hdr;
    const std::size_t size = messages[k].msg_len;
    std::size_t segment = std::max<std::size_t>(size, 1);
    path from{local_, address::of(reinterpret_cast<sockaddr*>(&senders[k]), m.msg_namelen), 0};
    read_control(m, from, segment);
    const core::byte_view all{room.bytes[k].data(), size};
    for (std::size_t at = 0; at < size; at += segment) {
      ++out.datagrams;
      f(from, all.subspan(at, std::min(segment, size - at)));
    }
  }
  return out;
}

udp_socket::outcome udp_socket::send(const path& to, core::byte_view datagrams,
                                     std::size_t segment) {
  if (gso_ || datagrams.size() <= segment) {
    const auto how = send_some(to, datagrams, segment);
    if (gso_ || datagrams.size() <= segment)
      return how;
  }
  // Without GSO; a full socket loses the rest, as a full queue on the way would.
  for (std::size_t at = 0; at < datagrams.size(); at += segment) {
    const auto one = datagrams.subspan(at, std::min(segment, datagrams.size() - at));
    if (send_some(to, one, one.size()) == outcome::full)
      return outcome::lost;
  }
  return outcome::done;
}

udp_socket::outcome udp_socket::send_some(const path& to, core::byte_view datagrams,
                                          std::size_t segment) {
  // The kernel only reads; iovec and msghdr know no const.
  iovec slice{const_cast<std::uint8_t*>(datagrams.data()), datagrams.size()};
  alignas(cmsghdr) std::array<char, control_bytes> control{};
  msghdr m{};
  m.msg_name = const_cast<sockaddr*>(to.remote.get());
  m.msg_namelen = to.remote.size;
  m.msg_iov = &slice;
  m.msg_iovlen = 1;
  m.msg_control = control.data();
  if (datagrams.size() > segment)
    add_control(m, SOL_UDP, UDP_SEGMENT, static_cast<std::uint16_t>(segment));
  if (to.ecn != 0)
    add_mark(m, to);
  if (any_address_)
    add_source(m, to.local);
  if (m.msg_controllen == 0)
    m.msg_control = nullptr;
  while (::sendmsg(fd_.get(), &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
    switch (errno) {
    case EINTR:
      continue;
    case EAGAIN:
    case ENOBUFS:
      return outcome::full;
    case EIO:
    case EINVAL:
      gso_ = gso_ && datagrams.size() <= segment; // this device cannot cut
      return outcome::lost;
    default:
      return outcome::lost;
    }
  }
  return outcome::done;
}

core::result<std::vector<address>> resolve(const std::string& host, std::uint16_t port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const auto service = std::to_string(port);
  if (int rc = ::getaddrinfo(host.c_str(), service.c_str(), &hints, &found); rc != 0)
    return core::fail(core::ec::bad_request, host + ": " + ::gai_strerror(rc));
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> guard{found, ::freeaddrinfo};
  std::vector<address> out;
  for (auto* a = found; a; a = a->ai_next)
    out.push_back(address::of(a->ai_addr, a->ai_addrlen));
  return out;
}

address local_address(int fd) {
  sockaddr_storage bound{};
  socklen_t n = sizeof bound;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&bound), &n);
  return address::of(reinterpret_cast<sockaddr*>(&bound), n);
}

core::result<udp_sockets> bind_udp(const core::config::host_port& where, std::size_t count,
                                   std::size_t buffer_bytes) {
  udp_sockets out{{}, where};
  for (std::size_t i = 0; i < count; ++i) {
    auto addresses = resolve(out.where.host, out.where.port);
    if (!addresses)
      return std::unexpected{addresses.error()};
    auto fd = bind_one(addresses->front(), i == 0, buffer_bytes, out.where.to_string());
    if (!fd)
      return std::unexpected{fd.error()};
    out.where.port = port_of(local_address(fd->get()));
    out.fds.push_back(std::move(*fd));
  }
  if (count > 1 && !steer_by_id(out.fds[0].get(), count))
    return os_fail(out.where.to_string(), "SO_ATTACH_REUSEPORT_CBPF", errno);
  return out;
}

core::result<unique_fd> open_udp(const address& remote, std::size_t buffer_bytes) {
  const int family = remote.storage.ss_family;
  unique_fd fd{::socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd)
    return os_fail("UDP", "socket", errno);
  tune(fd.get(), family, buffer_bytes);
  // Bound by connecting: the kernel chooses the source address and drops what others send.
  if (::connect(fd.get(), remote.get(), remote.size) != 0)
    return os_fail("UDP", "connect", errno);
  return fd;
}

} // namespace ron::transport::quic
