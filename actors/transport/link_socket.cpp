#include "transport/link_socket.hpp"

#include <boost/asio/detail/epoll_reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#include <boost/asio/io_context.hpp>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

namespace ron::transport {

namespace {

// Asio's own `async_wait` asks the kernel in each wait (EPOLL_CTL_MOD), because it does not know
// what its caller has read. What lies under it can be told, so this file, and no other, goes there.
using boost::asio::detail::epoll_reactor;
using boost::asio::detail::reactor_op;

/// What the kernel said with the bytes: how many more there are; a FIN counts as one.
bool says_nothing_left(msghdr& message) noexcept {
  auto* const note = CMSG_FIRSTHDR(&message);
  if (note == nullptr || note->cmsg_level != SOL_TCP || note->cmsg_type != TCP_CM_INQ)
    return false;
  int left = 0;
  std::memcpy(&left, CMSG_DATA(note), sizeof left);
  return left == 0;
}

} // namespace

struct link_socket::waits {
  /// One kind of wait; used again and again.
  struct wait final : reactor_op {
    wait(link_socket& s, user& u, void (user::*f)())
        : reactor_op({}, &perform, &complete), socket(s), who(u), ready(f) {
      // nop
    }
    /// The edge is used up by this.
    static status perform(reactor_op*) { return done_and_exhausted; }
    /// `owner` is null when the io_context is destroyed.
    static void complete(void* owner, boost::asio::detail::operation* base,
                         const boost::system::error_code&, std::size_t) {
      auto& me = *static_cast<wait*>(base);
      me.outstanding = false;
      const auto keep = std::exchange(me.keep, {}); // may be the last who has the link
      if (owner != nullptr && me.socket.is_open())
        (me.who.*me.ready)();
    }

    link_socket& socket;
    user& who;
    void (user::*ready)();
    keep_alive keep;
    bool outstanding = false;
  };

  waits(boost::asio::io_context& io, link_socket& socket, user& who)
      : reactor(boost::asio::use_service<epoll_reactor>(io)),
        read(socket, who, &user::socket_readable), write(socket, who, &user::socket_writable) {
    reactor.init_task();
    if (const auto bad = reactor.register_descriptor(socket.fd_.get(), descriptor); bad != 0)
      throw std::system_error{bad, std::system_category(), "epoll"};
  }

  /// `ask`: the kernel is asked how things are; else an edge since the last one is enough.
  void start(int kind, wait& w, int fd, keep_alive keep, bool ask) {
    w.outstanding = true;
    w.keep = std::move(keep);
    w.ec_ = {};
    reactor.start_op(kind, fd, descriptor, &w, false, !ask);
  }

  epoll_reactor& reactor;
  epoll_reactor::per_descriptor_data descriptor = nullptr;
  wait read;
  wait write;
};

link_socket::link_socket(boost::asio::io_context& io, unique_fd fd, user& who)
    : fd_(std::move(fd)), waits_(std::make_unique<waits>(io, *this, who)) {
  const int on = 1;
  tells_rest_ = ::setsockopt(fd_.get(), SOL_TCP, TCP_INQ, &on, sizeof on) == 0;
}

link_socket::~link_socket() {
  close();
}

ssize_t link_socket::receive(std::span<std::uint8_t> room) noexcept {
  iovec where{room.data(), room.size()};
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(sizeof(int))> notes;
  msghdr message{};
  message.msg_iov = &where;
  message.msg_iovlen = 1;
  if (tells_rest_) {
    message.msg_control = notes.data();
    message.msg_controllen = notes.size();
  }
  const auto n = ::recvmsg(fd_.get(), &message, MSG_DONTWAIT);
  well_ = n < 0 && errno == EAGAIN;
  emptied_ = well_ || (n > 0 && tells_rest_ && says_nothing_left(message));
  return n;
}

ssize_t link_socket::send(const msghdr& message) noexcept {
  const auto n = ::sendmsg(fd_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
  well_ = well_ || n >= 0;
  return n;
}

void link_socket::shutdown_write() noexcept {
  ::shutdown(fd_.get(), SHUT_WR); // an error here means the socket is gone anyway
}

void link_socket::wait_readable(keep_alive keep) {
  waits_->start(epoll_reactor::read_op, waits_->read, fd_.get(), std::move(keep),
                !emptied_ || !well_);
}

void link_socket::wait_writable(keep_alive keep) {
  waits_->start(epoll_reactor::write_op, waits_->write, fd_.get(), std::move(keep), true);
}

bool link_socket::waits_readable() const noexcept {
  return waits_->read.outstanding;
}

bool link_socket::waits_writable() const noexcept {
  return waits_->write.outstanding;
}

void link_socket::close() noexcept {
  if (!fd_)
    return;
  const auto fd = std::exchange(fd_, {});
  waits_->reactor.deregister_descriptor(fd.get(), waits_->descriptor, true);
  waits_->reactor.cleanup_descriptor_data(waits_->descriptor);
}

} // namespace ron::transport
