#include "socket_wire.hpp"

#include "core/limits.hpp"
#include "dial.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace ron::sdk {

using core::ec;
using core::fail;
using core::instant;
using core::result;

namespace {

constexpr std::size_t iovecs_max = 64;

std::unexpected<core::error> lost(int error) {
  return fail(ec::degraded, std::string{"the connection was lost: "} + std::strerror(error));
}

} // namespace

socket_wire::socket_wire(int fd) : fd_(fd), input_(core::limits::read_buffer_bytes) {
  // nop
}

socket_wire::~socket_wire() {
  ::close(fd_);
}

result<void> socket_wire::wait(short events, instant deadline, const char* what) {
  pollfd p{fd_, events, 0};
  while (true) {
    if (std::chrono::steady_clock::now() >= deadline)
      return fail(ec::downstream_timeout, std::string{"no progress in time while "} + what);
    const int n = ::poll(&p, 1, poll_ms(deadline));
    if (n > 0)
      return {};
    if (n < 0 && errno != EINTR)
      return fail(ec::degraded, std::strerror(errno));
  }
}

result<void> socket_wire::write_all(const std::vector<core::bytes>& slices, instant deadline) {
  std::size_t first = 0;  // slice to send next
  std::size_t offset = 0; // sent of it
  while (first < slices.size()) {
    std::array<iovec, iovecs_max> parts;
    std::size_t n = 0;
    for (auto i = first; i < slices.size() && n < parts.size(); ++i, ++n) {
      const auto skip = i == first ? offset : 0;
      parts[n] = {const_cast<std::uint8_t*>(slices[i].data()) + skip, slices[i].size() - skip};
    }
    msghdr message{};
    message.msg_iov = parts.data();
    message.msg_iovlen = n;
    auto sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EINTR)
        return lost(errno);
      if (auto ok = wait(POLLOUT, deadline, "sending"); !ok)
        return ok;
      continue;
    }
    offset += static_cast<std::size_t>(sent);
    while (first < slices.size() && offset >= slices[first].size())
      offset -= slices[first++].size();
  }
  return {};
}

void socket_wire::write_some(const std::vector<core::bytes>& slices) noexcept {
  for (const auto& b : slices)
    if (::send(fd_, b.data(), b.size(), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
      return;
}

result<core::byte_view> socket_wire::read_some(instant deadline) {
  auto got = ::recv(fd_, input_.data(), input_.size(), 0);
  while (got < 0) {
    if (errno != EAGAIN && errno != EINTR)
      return lost(errno);
    if (auto ok = wait(POLLIN, deadline, "waiting for the node"); !ok)
      return std::unexpected{ok.error()};
    got = ::recv(fd_, input_.data(), input_.size(), 0);
  }
  return core::byte_view{input_.data(), static_cast<std::size_t>(got)};
}

namespace {

class onion_wire final : public socket_wire {
public:
  explicit onion_wire(int fd) : socket_wire(fd) {}
  result<void> send(std::vector<core::bytes>& slices, instant deadline) override;
  result<arrival> receive(instant deadline) override;
  bool has_alpn() const noexcept override { return false; }
  std::string description() const override { return "Tor onion service v3"; }
};

result<void> onion_wire::send(std::vector<core::bytes>& slices, instant deadline) {
  auto ok = write_all(slices, deadline);
  slices.clear();
  return ok;
}

result<arrival> onion_wire::receive(instant deadline) {
  const auto in = read_some(deadline);
  if (!in)
    return std::unexpected{in.error()};
  if (in->empty())
    return arrival{.slices = {}, .ended = true, .clean = true};
  return arrival{.slices = {core::bytes::copy(*in)}};
}

} // namespace

result<std::unique_ptr<wire>> dial_onion(const client_options& options, instant deadline) {
  auto fd = dial_tcp(options, deadline);
  if (!fd)
    return std::unexpected{fd.error()};
  return std::make_unique<onion_wire>(*fd);
}

} // namespace ron::sdk
