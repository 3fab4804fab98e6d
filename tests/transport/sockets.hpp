#pragma once

#include "core/crypto/tls_session.hpp"
#include "transport/unique_fd.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <fcntl.h>

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// Blocking sockets for the test's own end of a connection. Loopback only. Nothing here waits
/// longer than 20 s.
namespace ron::test {

inline void prepare(int fd) {
  timeval limit{20, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/// A connected pair of TCP sockets: the first is non-blocking (for a link), the second blocks.
inline std::pair<transport::unique_fd, transport::unique_fd> tcp_pair(int buffer_bytes = 0) {
  transport::unique_fd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t n = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  if (buffer_bytes > 0)
    ::setsockopt(listener.get(), SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
  EXPECT_EQ(::bind(listener.get(), generic, n), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::getsockname(listener.get(), generic, &n), 0);
  transport::unique_fd client{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  if (buffer_bytes > 0)
    ::setsockopt(client.get(), SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
  EXPECT_EQ(::connect(client.get(), generic, n), 0);
  transport::unique_fd server{
    ::accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)};
  EXPECT_TRUE(server);
  prepare(client.get());
  return {std::move(server), std::move(client)};
}

/// A blocking connection to a port of 127.0.0.1.
inline transport::unique_fd connect_to(std::uint16_t port) {
  transport::unique_fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  prepare(fd.get());
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    fd.reset();
  return fd;
}

inline bool send_all(int fd, std::string_view data) {
  while (!data.empty()) {
    auto n = ::send(fd, data.data(), data.size(), MSG_NOSIGNAL);
    if (n <= 0)
      return false;
    data.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// What one read brings; empty at the end, on an error and after 20 s.
inline std::string receive_some(int fd) {
  std::string out(65'536, '\0');
  auto n = ::recv(fd, out.data(), out.size(), 0);
  out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return out;
}

inline std::string receive_exactly(int fd, std::size_t n) {
  std::string out;
  while (out.size() < n) {
    std::string piece(n - out.size(), '\0');
    auto k = ::recv(fd, piece.data(), piece.size(), 0);
    if (k <= 0)
      break;
    out.append(piece, 0, static_cast<std::size_t>(k));
  }
  return out;
}

/// Everything up to the end.
inline std::string receive_all(int fd) {
  std::string out;
  for (;;) {
    auto piece = receive_some(fd);
    if (piece.empty())
      return out;
    out += piece;
  }
}

/// Closes with a reset instead of a FIN.
inline void reset(transport::unique_fd fd) {
  linger hard{1, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
}

/// A blocking TLS client on top of a socket.
class tls_peer {
public:
  tls_peer(transport::unique_fd fd, core::crypto::tls_session session)
    : fd_(std::move(fd)), session_(std::move(session)) {
    // nop
  }

  /// False if the server refuses.
  bool shake_hands() {
    flush();
    while (!session_.is_open())
      if (!pump())
        return false;
    return true;
  }
  bool write(std::string_view text) {
    std::vector<core::bytes> slices{core::bytes::copy(text)};
    return session_.write(slices) && flush();
  }
  /// Plaintext: at least one byte, or empty at the end.
  std::string read_some() {
    while (got_.empty())
      if (!pump())
        break;
    return std::exchange(got_, {});
  }
  std::string read_exactly(std::size_t n) {
    while (got_.size() < n)
      if (!pump())
        break;
    auto k = std::min(n, got_.size());
    auto out = got_.substr(0, k);
    got_.erase(0, k);
    return out;
  }
  std::string read_all() {
    while (pump()) {
      // nop
    }
    return std::exchange(got_, {});
  }
  void close_notify() {
    session_.shutdown();
    flush();
  }
  void fin() { ::shutdown(fd_.get(), SHUT_WR); }
  void reset() { test::reset(std::move(fd_)); }

  core::crypto::tls_session& session() { return session_; }
  const std::optional<core::error>& failed() const { return failed_; }
  int fd() const { return fd_.get(); }

private:
  bool flush() {
    std::vector<core::bytes> out;
    session_.take_output(out);
    for (auto& x : out)
      if (!send_all(fd_.get(), x.text()))
        return false;
    return true;
  }
  bool pump() {
    if (failed_ || session_.peer_closed())
      return false;
    auto raw = receive_some(fd_.get());
    if (raw.empty())
      return false;
    core::byte_view rest{reinterpret_cast<const std::uint8_t*>(raw.data()), raw.size()};
    std::vector<std::uint8_t> room(core::crypto::tls_session::room_for(rest.size()));
    auto done = session_.feed(rest, room);
    flush();
    if (!done) {
      failed_ = done.error();
      return false;
    }
    got_.append(reinterpret_cast<const char*>(room.data()), done->produced);
    return true;
  }

  transport::unique_fd fd_;
  core::crypto::tls_session session_;
  std::string got_;
  std::optional<core::error> failed_;
};

} // namespace ron::test
