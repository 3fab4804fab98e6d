#include "transport/socket_link.hpp"

#include <boost/asio/io_context.hpp>

#include <sys/socket.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <span>
#include <system_error>

namespace ron::transport {

namespace {

std::atomic<std::size_t> read_buffer{core::limits::read_buffer_bytes};

/// One per shard is enough: what is read is handed on before the next read.
std::span<std::uint8_t> scratch() {
  thread_local const auto size = read_buffer.load();
  thread_local const auto buffer = std::make_unique_for_overwrite<std::uint8_t[]>(size);
  return {buffer.get(), size};
}

core::error broken(const char* what, int number) {
  auto text = std::system_category().message(number);
  return {core::ec::cancelled, std::string{what} + ": " + text};
}

} // namespace

void set_read_buffer(std::size_t bytes) noexcept {
  read_buffer = bytes;
}

socket_link::socket_link(boost::asio::io_context& io, unique_fd fd, std::string peer,
                         link_owner owner)
  : socket_(io, fd.release()), owner_(owner), peer_(std::move(peer)) {
  // nop
}

socket_link::~socket_link() = default;

// -- reading -------------------------------------------------------------------

void socket_link::read(std::size_t partial, std::size_t missing) {
  if (closed_ || reading_)
    return;
  reading_ = true;
  partial_ = partial;
  missing_ = missing;
  if (!ready_.empty())
    post([this] {
      if (!ready_.empty())
        deliver(std::exchange(ready_, {}));
    });
  else if (ended_)
    post([this] {
      if (std::exchange(reading_, false))
        owner_.events().link_read_end(ended_clean_);
    });
  else
    want_bytes();
}

void socket_link::want_bytes() {
  if (closed_ || ended_ || std::exchange(waiting_readable_, true))
    return;
  auto done = [me = shared_from_this(), this,
               keep = owner_.hold()](const boost::system::error_code& e) {
    waiting_readable_ = false;
    if (!e && !closed_)
      owner_.enter([this] { readable(); });
  };
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_read, std::move(done));
}

void socket_link::read_socket() {
  auto buffer = scratch();
  auto n = ::recv(socket_.native_handle(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n > 0) {
    bytes_in_ += static_cast<std::uint64_t>(n);
    return arrived(buffer.first(static_cast<std::size_t>(n)));
  }
  if (n == 0)
    return ended();
  if (errno == EAGAIN || errno == EINTR)
    return want_bytes();
  fail(broken("read", errno));
}

void socket_link::deliver(core::bytes slice) {
  if (!std::exchange(reading_, false)) {
    ready_ = std::move(slice);
    return;
  }
  owner_.events().link_read(std::move(slice));
}

void socket_link::end_reading(bool clean) {
  ended_ = true;
  ended_clean_ = clean;
  if (ready_.empty() && std::exchange(reading_, false))
    owner_.events().link_read_end(clean);
}

// -- writing -------------------------------------------------------------------

void socket_link::write(std::vector<core::bytes>& slices) {
  if (closed_ || shut_down_ || !seal(slices)) {
    slices.clear();
    return;
  }
  queue_.push(slices);
  flush(true);
}

void socket_link::send_raw(std::vector<core::bytes>& slices) {
  queue_.push(slices);
  flush(true);
}

void socket_link::shutdown_write() {
  if (closed_ || std::exchange(shut_down_, true))
    return;
  std::vector<core::bytes> last;
  seal_end(last);
  queue_.push(last);
  flush(true);
}

void socket_link::flush(bool from_owner) {
  if (waiting_writable_)
    return;
  std::array<iovec, write_queue::gather_slices_max> slices;
  while (!queue_.empty()) {
    msghdr message{};
    message.msg_iov = slices.data();
    message.msg_iovlen = queue_.gather(slices);
    auto n = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n >= 0) {
      bytes_out_ += static_cast<std::uint64_t>(n);
      queue_.consume(static_cast<std::size_t>(n));
    } else if (errno == EAGAIN) {
      return await_writable();
    } else if (errno != EINTR) {
      auto why = broken("write", errno);
      return from_owner ? fail_later(std::move(why)) : fail(std::move(why));
    }
  }
  finish_write_side();
}

void socket_link::await_writable() {
  waiting_writable_ = true;
  auto done = [me = shared_from_this(), this,
               keep = owner_.hold()](const boost::system::error_code& e) {
    waiting_writable_ = false;
    if (!e && !closed_)
      owner_.enter([this] { writable(); });
  };
  socket_.async_wait(boost::asio::posix::stream_descriptor::wait_write, std::move(done));
}

void socket_link::writable() {
  flush(false);
  if (!closed_ && queue_.empty())
    owner_.events().link_written();
}

void socket_link::finish_write_side() {
  if (shut_down_ && !std::exchange(fin_sent_, true))
    ::shutdown(socket_.native_handle(), SHUT_WR); // an error here means the socket is gone anyway
}

// -- the end -------------------------------------------------------------------

void socket_link::close() {
  if (std::exchange(closed_, true))
    return;
  boost::system::error_code ignored;
  socket_.close(ignored);
  queue_.clear();
  ready_ = {};
}

void socket_link::fail(core::error why) {
  if (closed_)
    return;
  failed_ = true;
  close();
  owner_.events().link_failed(why);
}

void socket_link::fail_later(core::error why) {
  shut_down_ = true; // nothing more goes out
  queue_.clear();
  post([this, why = std::move(why)] { fail(why); });
}

} // namespace ron::transport
