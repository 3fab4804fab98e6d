#include "node/operator_socket.hpp"

#include "core/log.hpp"

#include <boost/asio/io_context.hpp>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstring>

namespace ron::node {

namespace {

namespace asio = boost::asio;
using socket_type = asio::local::stream_protocol::socket;

bool is_same_user(int fd) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == geteuid();
}

// The line fits into any socket buffer, so one attempt that does not wait is enough; a client that
// does not take it has lost it.
void answer(socket_type& client, std::string line) {
  if (!is_same_user(client.native_handle())) {
    core::log::warn("node", "operator socket: refused another user");
    return;
  }
  line += '\n';
  if (::send(client.native_handle(), line.data(), line.size(), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
    core::log::info("node", "operator socket: client went away");
}

void accept_next(operator_socket_self self) {
  auto& acceptor = self->state.acceptor;
  acceptor->async_accept(self->bind([self](boost::system::error_code ec, socket_type client) {
    if (ec == asio::error::operation_aborted || !self->state.acceptor)
      return;
    if (!ec)
      answer(client, self->state.line());
    accept_next(self);
  }));
}

} // namespace

core::result<int> open_operator_socket(std::uint16_t admin_port) {
  const auto name = "ron-" + std::to_string(admin_port);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path + 1, name.data(), name.size()); // a leading NUL: no file
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), size) != 0
      || ::listen(fd, 16) != 0) {
    const auto why = std::string{std::strerror(errno)};
    if (fd >= 0)
      ::close(fd);
    return core::fail(core::ec::conflict, "operator socket @" + name + ": " + why);
  }
  return fd;
}

caf::behavior make_operator_socket(operator_socket_self self, int fd,
                                   std::function<std::string()> line) {
  self->state.line = std::move(line);
  self->state.acceptor.emplace(self->home().io());
  self->state.acceptor->assign(asio::local::stream_protocol{}, fd);
  accept_next(self);
  return {[self](atom::stop) {
    self->state.acceptor.reset();
    self->quit();
  }};
}

} // namespace ron::node
