#pragma once

#include "core/limits.hpp"
#include "transport/link.hpp"
#include "transport/unique_fd.hpp"
#include "transport/write_queue.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>

#include <cstdint>
#include <string>

namespace boost::asio {
class io_context;
} // namespace boost::asio

namespace ron::transport {

/// The part that links over a stream socket share: waiting, reading, gathered writing, ending.
/// What the bytes mean is the derived class's business.
///
/// Reading and writing are plain non-blocking system calls; Asio only waits. So an idle link owns
/// no read buffer (all links of a thread share one) and a write costs no completion handler
/// unless the socket is full.
class socket_link : public link {
public:
  void write(std::vector<core::bytes>& slices) final;
  void read(std::size_t partial, std::size_t missing) override;
  std::size_t backlog() const noexcept final { return queue_.bytes(); }
  void shutdown_write() final;
  void close() final;
  std::uint64_t bytes_in() const noexcept final { return bytes_in_; }
  std::uint64_t bytes_out() const noexcept final { return bytes_out_; }

protected:
  /// `fd` is a connected non-blocking stream socket.
  socket_link(boost::asio::io_context& io, unique_fd fd, std::string peer, link_owner owner);
  ~socket_link() override;

  // -- what a kind of link decides -----------------------------------------------

  /// The socket has something to read: `read_socket`, now or later.
  virtual void readable() { read_socket(); }
  /// Bytes came from the socket; they stay where they are during the call only.
  virtual void arrived(core::byte_view raw) = 0;
  /// The socket will bring no more: `end_reading` or `fail`.
  virtual void ended() = 0;
  /// Turns what the owner writes into what goes over the wire, in place. False after `fail`.
  virtual bool seal(std::vector<core::bytes>& slices) = 0;
  /// Appends what has to be sent before the FIN.
  virtual void seal_end(std::vector<core::bytes>& slices) = 0;

  // -- what a derived class uses -------------------------------------------------

  /// Waits for the socket; `readable` follows, once.
  void want_bytes();
  /// Reads what is there: `arrived`, `ended` or `fail`.
  void read_socket();
  /// Sends raw bytes (handshake); leaves `slices` empty.
  void send_raw(std::vector<core::bytes>& slices);
  /// Puts plaintext into the owner's hands: now if it waits for some, else at its next `read`.
  void deliver(core::bytes slice);
  /// The peer's direction is over; reported at the owner's next or outstanding `read`.
  void end_reading(bool clean);
  /// Closes and reports. From an Asio handler only.
  void fail(core::error why);
  /// The same, but from inside a call of the owner.
  void fail_later(core::error why);
  /// Runs `f` soon, as the owner, unless closed by then. For work out of the owner's calls.
  template <class F>
  void post(F f) {
    boost::asio::post(socket_.get_executor(), [me = shared_from_this(), this,
                                               keep = owner_.hold(), f = std::move(f)]() mutable {
      if (!closed_)
        owner_.enter(f);
    });
  }

  bool is_closed() const noexcept { return closed_; }
  /// True if the link broke, and was not closed by its owner.
  bool has_failed() const noexcept { return failed_; }
  bool reading() const noexcept { return reading_; }
  /// Keeps a slice for the next `read`. Only while there is none.
  void hold(core::bytes slice) { ready_ = std::move(slice); }
  /// A slice waits for the owner to ask.
  bool holds_slice() const noexcept { return !ready_.empty(); }
  /// Bytes of an unfinished frame at the end of what was delivered last.
  std::size_t partial() const noexcept { return partial_; }
  /// Bytes that complete it; 0 if not known.
  std::size_t missing() const noexcept { return missing_; }
  const link_owner& owner() const noexcept { return owner_; }
  const std::string& peer() const noexcept { return peer_; }

private:
  void flush(bool from_owner);
  void writable();
  void await_writable();
  void finish_write_side();

  boost::asio::posix::stream_descriptor socket_;
  link_owner owner_;
  std::string peer_;
  write_queue queue_;
  core::bytes ready_;             ///< delivered before the owner asked
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
  std::size_t partial_ = 0;
  std::size_t missing_ = 0;
  bool reading_ = false;          ///< the owner waits for an answer to `read`
  bool waiting_readable_ = false;
  bool waiting_writable_ = false;
  bool ended_ = false;            ///< the socket brought its end
  bool ended_clean_ = false;
  bool shut_down_ = false;        ///< `shutdown_write` was called
  bool fin_sent_ = false;
  bool closed_ = false;
  bool failed_ = false;
};

} // namespace ron::transport
