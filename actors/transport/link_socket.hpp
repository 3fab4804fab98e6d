#pragma once

#include "transport/unique_fd.hpp"

#include <caf/actor_control_block.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

struct msghdr;

namespace boost::asio {
class io_context;
} // namespace boost::asio

namespace ron::transport {

class link;

/// A connected non-blocking stream socket whose waits cost no system call where none is needed.
///
/// The kernel tells an edge once: that something came. A wait is right without asking it again if
/// nothing was left at the last read and the connection has been well since. The kernel says the
/// first with the bytes (TCP_INQ, which also tells of a FIN); a write that went through, or a read
/// that found nothing, proves the second: a reset may have come together with the last bytes. In
/// all other cases, and on sockets that are not TCP, a wait asks the kernel how things are.
///
/// It is a piece of its link: all calls are made on its shard, and at most one wait of each kind is
/// outstanding, which keeps the link and its owner alive.
class link_socket {
public:
  /// Whom the waits tell. Never from inside a call to the socket; not after `close`.
  class user {
  public:
    virtual void socket_readable() = 0;
    virtual void socket_writable() = 0;

  protected:
    ~user() = default;
  };
  /// What must live as long as a wait.
  struct keep_alive {
    std::shared_ptr<link> me;
    caf::strong_actor_ptr owner;
  };

  /// Throws boost::system::system_error if the kernel cannot watch the socket.
  link_socket(boost::asio::io_context& io, unique_fd fd, user& who);
  ~link_socket();
  link_socket(const link_socket&) = delete;
  link_socket& operator=(const link_socket&) = delete;

  /// As recv(2) and sendmsg(2), without blocking and without SIGPIPE.
  ssize_t receive(std::span<std::uint8_t> room) noexcept;
  ssize_t send(const msghdr& message) noexcept;
  /// Sends a FIN.
  void shutdown_write() noexcept;

  /// `socket_readable` follows once there is something to read: bytes, an end or an error.
  void wait_readable(keep_alive keep);
  bool waits_readable() const noexcept;
  /// `socket_writable` follows once there is room. After a `send` that found none.
  void wait_writable(keep_alive keep);
  bool waits_writable() const noexcept;

  bool is_open() const noexcept { return static_cast<bool>(fd_); }
  /// Ends the waits and closes. Idempotent.
  void close() noexcept;

private:
  struct waits; // keeps Asio out of this header

  unique_fd fd_;
  std::unique_ptr<waits> waits_;
  bool tells_rest_ = false; ///< the kernel says what is left behind a read
  bool emptied_ = true;     ///< the last read left nothing, not even a FIN
  bool well_ = false;       ///< and since then the connection was seen to be
};

} // namespace ron::transport
