#include "dial.hpp"

#include "core/hash.hpp"
#include "core/limits.hpp"
#include "ron/client.hpp"
#include "transport/tor/socks5.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace ron::sdk {

using core::ec;
using core::fail;
using core::instant;
using core::result;
namespace tor = transport::tor;

namespace {

instant now() {
  return std::chrono::steady_clock::now();
}

result<int> dial_one(const addrinfo& to, instant deadline) {
  const int fd = ::socket(to.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return fail(ec::degraded, std::strerror(errno));
  auto refuse = [fd](int error) -> result<int> {
    ::close(fd);
    return fail(ec::degraded, std::strerror(error));
  };
  if (::connect(fd, to.ai_addr, to.ai_addrlen) != 0 && errno != EINPROGRESS)
    return refuse(errno);
  pollfd p{fd, POLLOUT, 0};
  if (::poll(&p, 1, poll_ms(deadline)) <= 0)
    return refuse(ETIMEDOUT);
  int error = 0;
  socklen_t size = sizeof error;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
    return refuse(error != 0 ? error : errno);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

/// A connected socket, or why no address of `host` took us.
result<int> dial_host(const std::string& host, const std::string& port, instant deadline) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (int rc = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); rc != 0)
    return fail(ec::degraded, ::gai_strerror(rc));
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> guard{found, ::freeaddrinfo};
  auto out = result<int>{fail(ec::degraded, "no address")};
  for (auto* a = found; a && !out; a = a->ai_next)
    out = dial_one(*a, deadline);
  return out;
}

/// Who shows another token is another person to Tor too. The word tells nothing of the token.
std::string isolation_of(const client_options& o) {
  if (!o.isolation.empty() || o.token.empty())
    return o.isolation.empty() ? "anonymous" : o.isolation;
  const auto token = core::bytes::copy(o.token);
  return core::to_hex(core::b3::derive_key("ron 2026 tor isolation", token.view()));
}

bool readable(int fd, instant deadline) {
  pollfd p{fd, POLLIN, 0};
  while (now() < deadline)
    if (::poll(&p, 1, poll_ms(deadline)) > 0)
      return true;
  return false;
}

/// Talks SOCKS until the tunnel is open; takes no byte of what comes through it.
result<void> open_tunnel(int fd, tor::socks5_dial& dial, instant deadline) {
  while (!dial.is_open() && !dial.failure()) {
    const auto out = dial.take_output(); // fits into any socket buffer
    if (::send(fd, out.data(), out.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(out.size())) {
      dial.on_eof();
      break;
    }
    if (!readable(fd, deadline))
      return std::unexpected{tor::to_error({tor::trouble::silent, "no circuit in time"})};
    std::uint8_t byte = 0;
    if (const auto n = ::recv(fd, &byte, 1, 0); n == 1)
      dial.on_bytes({&byte, 1});
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
      dial.on_eof();
  }
  if (dial.failure())
    return std::unexpected{to_error(*dial.failure())};
  return {};
}

result<int> dial_tor(const client_options& o, instant deadline) {
  auto dial = tor::socks5_dial::make({o.host, o.port, isolation_of(o)});
  if (!dial)
    return std::unexpected{dial.error()};
  const auto colon = o.socks.rfind(':');
  if (colon == o.socks.npos)
    return fail(ec::bad_request, "the address of a SOCKS port is host:port");
  auto fd = dial_host(o.socks.substr(0, colon), o.socks.substr(colon + 1), deadline);
  if (!fd)
    return std::unexpected{tor::to_error({tor::trouble::no_daemon, o.socks})};
  if (auto ok = open_tunnel(*fd, *dial, deadline); !ok) {
    ::close(*fd);
    return std::unexpected{ok.error()};
  }
  return fd;
}

} // namespace

int poll_ms(instant deadline) {
  const auto left = core::remaining_ms(deadline, now());
  return static_cast<int>(std::min<std::uint64_t>(left + 1, 60'000));
}

std::string where(const client_options& o) {
  return o.host + ':' + std::to_string(o.port);
}

bool is_onion(const client_options& o) {
  return o.host.ends_with(".onion");
}

result<int> dial_tcp(const client_options& o, instant deadline) {
  if (!o.socks.empty())
    return dial_tor(o, deadline);
  if (is_onion(o))
    return fail(ec::bad_request, "an onion address needs the SOCKS port of a tor daemon");
  auto fd = dial_host(o.host, std::to_string(o.port), deadline);
  if (fd)
    return fd;
  return fail(ec::degraded, "cannot connect to " + where(o) + ": " + fd.error().message
                              + "; is the node running, and is this its OAP address?");
}

} // namespace ron::sdk
