#include "connection.hpp"

#include "core/limits.hpp"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace ron::sdk {

using core::ec;
using core::fail;
using core::instant;
using core::result;
using core::crypto::tls_session;

namespace {

constexpr std::size_t iovecs_max = 64;

instant now() {
  return std::chrono::steady_clock::now();
}

int poll_ms(instant deadline) {
  const auto left = core::remaining_ms(deadline, now());
  return static_cast<int>(std::min<std::uint64_t>(left + 1, 60'000));
}

std::string where(const client_options& o) {
  return o.host + ':' + std::to_string(o.port);
}

std::unexpected<core::error> no_connection(const client_options& o, const std::string& why) {
  return fail(ec::degraded, "cannot connect to " + where(o) + ": " + why
                              + "; is the node running, and is this its OAP address?");
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

result<int> dial(const client_options& o, instant deadline) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const auto port = std::to_string(o.port);
  if (int rc = ::getaddrinfo(o.host.c_str(), port.c_str(), &hints, &found); rc != 0)
    return no_connection(o, ::gai_strerror(rc));
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> guard{found, ::freeaddrinfo};
  std::string why = "no address";
  for (auto* a = found; a; a = a->ai_next) {
    auto fd = dial_one(*a, deadline);
    if (fd)
      return fd;
    why = fd.error().message;
  }
  return no_connection(o, why);
}

/// What OpenSSL says of bytes that are no TLS helps nobody who only has the port wrong.
std::unexpected<core::error> no_handshake(const client_options& o, const core::error& why) {
  if (why.code != ec::bad_request)
    return std::unexpected{why};
  return fail(ec::degraded, where(o) + " does not speak OAP/1 over TLS 1.3 (" + why.message + ")");
}

} // namespace

oap::session_settings connection::usual_settings() {
  oap::session_settings settings;
  settings.ua = "ron-sdk-cpp";
  settings.max_frame = core::limits::oap_frame_bytes_default;
  settings.ack_window = 32;
  return settings;
}

result<std::unique_ptr<connection>> connection::open(const client_options& options,
                                                     const oap::session_settings& settings) {
  const auto deadline = now() + options.connect_timeout;
  auto fd = dial(options, deadline);
  if (!fd)
    return std::unexpected{fd.error()};
  std::unique_ptr<connection> c{new connection(*fd)};
  if (auto ok = c->handshake(options, deadline); !ok)
    return std::unexpected{ok.error()};
  c->session_.emplace(oap::role::dialer, settings);
  while (!c->session_->hello_received()) {
    auto events = c->step(deadline);
    if (!events)
      return std::unexpected{events.error()};
    if (c->session_->is_closed())
      return fail(ec::degraded, where(options) + " closed the connection during HELLO");
  }
  return c;
}

connection::~connection() {
  if (tls_ && tls_->is_open()) {
    tls_->shutdown(); // one attempt to say goodbye; nobody waits for it
    tls_->take_output(cipher_);
    for (const auto& b : cipher_)
      if (::send(fd_, b.data(), b.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        break;
  }
  ::close(fd_);
}

result<void> connection::handshake(const client_options& options, instant deadline) {
  core::crypto::tls_client_options o;
  o.pin = options.pin;
  o.ca_file = options.ca_file;
  o.alpn = {"oap/1"};
  auto context = core::crypto::tls_context::make_client(o);
  if (!context)
    return std::unexpected{context.error()};
  auto tls = tls_session::connect(*context, options.host);
  if (!tls)
    return std::unexpected{tls.error()};
  tls_.emplace(std::move(*tls));
  input_.resize(core::limits::read_buffer_bytes);
  while (!tls_->is_open()) {
    if (auto ok = flush(deadline); !ok)
      return ok;
    if (auto ok = receive(deadline); !ok)
      return no_handshake(options, ok.error());
  }
  if (auto ok = flush(deadline); !ok)
    return ok;
  if (tls_->alpn() != "oap/1")
    return fail(ec::degraded, where(options) + " does not speak OAP/1 (no ALPN oap/1)");
  return {};
}

result<oap::events> connection::step(instant deadline) {
  oap::events out;
  while (true) {
    plain_.clear();
    if (session_->take(plain_))
      if (auto ok = tls_->write(plain_); !ok)
        return std::unexpected{ok.error()};
    if (auto ok = flush(deadline); !ok)
      return std::unexpected{ok.error()};
    if (session_->take_events(out))
      return out;
    if (session_->pending_bytes() > 0)
      continue;
    if (auto ok = receive(deadline); !ok)
      return std::unexpected{ok.error()};
  }
}

void connection::pace() {
  constexpr std::chrono::milliseconds window{1'000};
  auto t = now();
  if (opened_ >= session_->limits().max_streams && t < window_ + window) {
    ::poll(nullptr, 0, poll_ms(window_ + window));
    t = now();
  }
  if (t >= window_ + window) {
    window_ = t;
    opened_ = 0;
  }
  ++opened_;
}

result<void> connection::wait(short events, instant deadline, const char* what) {
  pollfd p{fd_, events, 0};
  while (true) {
    if (now() >= deadline)
      return fail(ec::downstream_timeout, std::string{"no progress in time while "} + what);
    const int n = ::poll(&p, 1, poll_ms(deadline));
    if (n > 0)
      return {};
    if (n < 0 && errno != EINTR)
      return fail(ec::degraded, std::strerror(errno));
  }
}

result<void> connection::flush(instant deadline) {
  cipher_.clear();
  tls_->take_output(cipher_);
  std::size_t first = 0;  // slice to send next
  std::size_t offset = 0; // sent of it
  while (first < cipher_.size()) {
    std::array<iovec, iovecs_max> parts;
    std::size_t n = 0;
    for (auto i = first; i < cipher_.size() && n < parts.size(); ++i, ++n) {
      const auto skip = i == first ? offset : 0;
      parts[n] = {const_cast<std::uint8_t*>(cipher_[i].data()) + skip, cipher_[i].size() - skip};
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = n;
    auto sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EINTR)
        return fail(ec::degraded, std::string{"the connection was lost: "} + std::strerror(errno));
      if (auto ok = wait(POLLOUT, deadline, "sending"); !ok)
        return ok;
      continue;
    }
    offset += static_cast<std::size_t>(sent);
    while (first < cipher_.size() && offset >= cipher_[first].size())
      offset -= cipher_[first++].size();
  }
  return {};
}

result<void> connection::receive(instant deadline) {
  auto got = ::recv(fd_, input_.data(), input_.size(), 0);
  while (got < 0) {
    if (errno != EAGAIN && errno != EINTR)
      return fail(ec::degraded, std::string{"the connection was lost: "} + std::strerror(errno));
    if (auto ok = wait(POLLIN, deadline, "waiting for the node"); !ok)
      return ok;
    got = ::recv(fd_, input_.data(), input_.size(), 0);
  }
  if (got == 0) {
    if (!session_)
      return fail(ec::degraded, "the node closed the connection during the TLS handshake");
    if (session_->is_closed())
      return fail(ec::degraded, "the node closed the connection");
    session_->on_eof(tls_->peer_closed());
    return {};
  }
  core::byte_view rest{input_.data(), static_cast<std::size_t>(got)};
  bool more = true;
  while (more) {
    core::slab room{tls_session::room_for(rest.size())};
    auto p = tls_->feed(rest, room.room());
    if (!p) {
      (void)flush(deadline); // an alert for the peer; its loss changes nothing
      return std::unexpected{p.error()};
    }
    rest = rest.subspan(p->consumed);
    room.commit(p->produced);
    more = !rest.empty() || p->produced == room.capacity();
    if (p->produced > 0 && session_)
      session_->on_bytes(room.cut(0, p->produced), now());
  }
  return {};
}

std::string connection::tls_description() const {
  const auto info = tls_->info();
  return info.version + ' ' + info.cipher + ' ' + info.group;
}

} // namespace ron::sdk
