#include "load/range_client.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>
#include <system_error>
#include <utility>
#include <vector>

namespace ron::bench {

namespace {

using core::ec;
using core::fail;
using core::result;
using core::crypto::tls_session;

constexpr std::size_t read_bytes = 256u << 10;
constexpr std::size_t head_bytes_max = 8u << 10;

/// Shared by all clients of a thread: what is read is looked at before the next read.
struct scratch {
  std::array<std::uint8_t, read_bytes> cipher;
  std::array<std::uint8_t, tls_session::room_for(read_bytes)> plain;
};

scratch& buffers() {
  thread_local const auto b = std::make_unique<scratch>();
  return *b;
}

std::unexpected<core::error> system_fail(const char* what) {
  return fail(ec::internal, std::string{what} + ": " + std::system_category().message(errno));
}

/// The value of a field, empty if it is not there. `name` in lower case.
std::string_view field(std::string_view head, std::string_view name) {
  while (!head.empty()) {
    auto line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(std::min(head.size(), line.size() + 2));
    if (line.size() <= name.size() || line[name.size()] != ':')
      continue;
    bool same = true;
    for (std::size_t i = 0; same && i < name.size(); ++i)
      same = std::tolower(static_cast<unsigned char>(line[i])) == name[i];
    if (!same)
      continue;
    line.remove_prefix(name.size() + 1);
    while (line.starts_with(' '))
      line.remove_prefix(1);
    return line;
  }
  return {};
}

} // namespace

range_client::range_client(transport::unique_fd fd, tls_session session, const resource& what)
  : fd_(std::move(fd)), session_(std::move(session)), what_(&what) {
  // nop
}

result<range_client> range_client::connect(std::uint16_t port,
                                           const core::crypto::tls_context& context,
                                           const resource& what) {
  transport::unique_fd fd{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int on = 1;
  if (fd.get() < 0 || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0)
    return system_fail("connect");
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto session = tls_session::connect(context, what.host);
  if (!session)
    return std::unexpected{session.error()};
  range_client out{std::move(fd), std::move(*session), what};
  if (auto ok = out.shake_hands(); !ok)
    return std::unexpected{ok.error()};
  if (::fcntl(out.native(), F_SETFL, O_NONBLOCK) != 0)
    return system_fail("fcntl");
  return out;
}

result<void> range_client::shake_hands() {
  auto& b = buffers();
  if (auto ok = send_output(); !ok)
    return ok;
  while (!session_.is_open()) {
    auto n = ::recv(native(), b.cipher.data(), b.cipher.size(), 0);
    if (n <= 0)
      return system_fail("the server ended the handshake");
    auto done = session_.feed({b.cipher.data(), static_cast<std::size_t>(n)}, b.plain);
    if (!done)
      return std::unexpected{done.error()};
    if (auto ok = send_output(); !ok)
      return ok;
  }
  return {};
}

/// A request is small and the only one: the kernel takes it whole, or something is wrong.
result<void> range_client::send_output() {
  std::vector<core::bytes> out;
  session_.take_output(out);
  for (const auto& b : out)
    if (::send(native(), b.data(), b.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(b.size()))
      return system_fail("send");
  return {};
}

result<void> range_client::ask(const byte_range& r) {
  wanted_ = r;
  seen_ = 0;
  head_.clear();
  state_ = state::head;
  const auto text = "GET " + what_->path + " HTTP/1.1\r\nHost: " + what_->host + "\r\nRange: bytes="
                    + std::to_string(r.first) + "-" + std::to_string(r.first + r.length - 1)
                    + "\r\n\r\n";
  const core::bytes slice = core::bytes::copy(text);
  if (auto ok = session_.write({&slice, 1}); !ok)
    return ok;
  return send_output();
}

result<bool> range_client::readable() {
  auto& b = buffers();
  auto n = ::recv(native(), b.cipher.data(), b.cipher.size(), 0);
  if (n < 0)
    return errno == EAGAIN ? result<bool>{false} : system_fail("recv");
  if (n == 0)
    return fail(ec::cancelled, "the server closed the connection");
  auto done = session_.feed({b.cipher.data(), static_cast<std::size_t>(n)}, b.plain);
  if (!done)
    return std::unexpected{done.error()};
  if (auto ok = take({b.plain.data(), done->produced}); !ok)
    return std::unexpected{ok.error()};
  return done->produced > 0 && state_ == state::idle;
}

result<void> range_client::take(core::byte_view plain) {
  if (plain.empty())
    return {}; // a session ticket
  if (state_ == state::idle)
    return fail(ec::internal, "bytes that nobody asked for");
  if (state_ == state::head) {
    const auto before = head_.size();
    const auto more = std::min(plain.size(), head_bytes_max - before);
    head_.append(reinterpret_cast<const char*>(plain.data()), more);
    const auto end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
    if (end == std::string::npos)
      return head_.size() < head_bytes_max ? result<void>{} : fail(ec::internal, "a head too long");
    plain = plain.subspan(end + 4 - before);
    head_.resize(end + 2);
    if (auto ok = check_head(head_); !ok)
      return ok;
    state_ = state::body;
  }
  return check_body(plain);
}

result<void> range_client::check_head(std::string_view head) const {
  const auto last = wanted_.first + wanted_.length - 1;
  const auto expected = "bytes " + std::to_string(wanted_.first) + "-" + std::to_string(last) + "/"
                        + std::to_string(what_->bytes.size());
  if (head.starts_with("HTTP/1.1 206 ") && field(head, "content-range") == expected
      && field(head, "content-length") == std::to_string(wanted_.length))
    return {};
  return fail(ec::internal, "asked for " + expected + ", was answered: " + std::string{head});
}

result<void> range_client::check_body(core::byte_view v) {
  if (v.size() > wanted_.length - seen_)
    return fail(ec::internal, "more bytes than announced");
  if (!v.empty()
      && std::memcmp(v.data(), what_->bytes.data() + wanted_.first + seen_, v.size()) != 0)
    return fail(ec::bad_digest, "other bytes than in the source, at or behind "
                                  + std::to_string(wanted_.first + seen_));
  seen_ += v.size();
  if (seen_ == wanted_.length)
    state_ = state::idle;
  return {};
}

} // namespace ron::bench
