#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "oap/reject.hpp"
#include "transport/wire.hpp"

#include <caf/actor_control_block.hpp>

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace ron::transport {

/// What is known about an open link.
struct link_info {
  std::string peer{};             ///< "address:port"; empty on a UNIX socket
  std::string alpn{};             ///< empty: none negotiated, or no TLS
  std::string tls_version{};      ///< empty: no TLS
  std::string tls_cipher{};
  std::string tls_group{};
  bool tls_resumed = false;
  std::string peer_cert_sha256{}; ///< hex; empty: the peer showed no certificate
  /// QUIC: what is read are whole frames of many streams, in order within a stream only.
  bool independent_streams = false;
  wire via = wire::oap_tls;       ///< filled in by the owner: what its requests say
};

/// What a link tells its owner. Every call is made as the owner (between two of its messages), on
/// its shard, and never from inside a call of the owner to the link. None after `close`.
class link_events {
public:
  /// The answer to `start`: bytes can flow.
  virtual void link_opened(const link_info& info) = 0;
  /// The answer to `read`: at least one byte. The slice may continue the previous one in the same
  /// block.
  virtual void link_read(core::bytes slice) = 0;
  /// The answer to `read` when the peer sends no more. `clean`: FIN, with TLS after close_notify;
  /// false: TLS was cut short. Writing may go on.
  virtual void link_read_end(bool clean) = 0;
  /// The backlog that a `write` or `shutdown_write` left behind is with the kernel now.
  virtual void link_written() = 0;
  /// In place of an answer to `read`: the peer put frames where they do not belong. Only a link
  /// with independent streams says so; the connection is to be ended with this reason.
  virtual void link_breach(oap::reason) {
    // nop
  }
  /// While a `read` is outstanding: part of a frame came that is kept where the session does not
  /// see it (`unfinished_bytes`). Only a link with independent streams says so, when the first one
  /// begins.
  virtual void link_partial() {
    // nop
  }
  /// The link is broken (reset, handshake or record failure) and closed. Once.
  virtual void link_failed(const core::error& why) = 0;

protected:
  ~link_events() = default;
};

/// How a link runs code as the actor that owns it.
class link_owner {
public:
  /// `self` is a homed actor, `events` a part of its state that closes the link when it is
  /// destroyed.
  template <class Self>
  link_owner(Self* self, link_events& events) noexcept
    : self_(self), control_(self->ctrl()), events_(&events),
      enter_([](void* actor, void (*f)(void*), void* arg) {
        static_cast<Self*>(actor)->enter([=] { f(arg); });
      }) {
    // nop
  }

  /// Keeps the actor alive for as long as an operation of the kernel is under way.
  caf::strong_actor_ptr hold() const { return caf::strong_actor_ptr{control_}; }
  link_events& events() const noexcept { return *events_; }

  /// Runs `f` as the owner, unless it has ended.
  template <class F>
  void enter(F&& f) const {
    enter_(self_, [](void* arg) { (*static_cast<std::remove_reference_t<F>*>(arg))(); },
           std::addressof(f));
  }

private:
  void* self_;
  caf::actor_control_block* control_;
  link_events* events_;
  void (*enter_)(void*, void (*)(void*), void*);
};

/// One connection to a peer as a reliable ordered stream of bytes: TCP, TLS over TCP, a UNIX
/// socket. Belongs to one actor and lives on its shard; all calls are made by that actor. It does
/// nothing unasked: the peer is read only after `read`, so the kernel's window slows it down.
///
/// Bounds: one read is at most what `set_read_buffer` says; what `write` could not hand to the
/// kernel waits here without a bound of its own, so the owner writes again only when `backlog` is
/// small (it is told by `link_written`).
class link : public std::enable_shared_from_this<link> {
public:
  link() = default;
  link(const link&) = delete;
  link& operator=(const link&) = delete;
  virtual ~link() = default;

  /// Begins the handshake; `link_opened` or `link_failed` follows. Once, first.
  virtual void start() = 0;

  /// Asks for the next bytes: one `link_read` or `link_read_end` follows. Not while one is
  /// outstanding. `partial`: bytes of an unfinished frame at the end of the last slice; if there
  /// are any, the next slice continues it in the same block whenever there is room. `missing`: the
  /// bytes that complete it, 0 if not known; a link that is about to change blocks may end a slice
  /// there and bring the rest with the next read.
  virtual void read(std::size_t partial = 0, std::size_t missing = 0) = 0;

  /// Queues `slices` in order and hands as much as possible to the kernel now. Leaves `slices`
  /// empty. After `link_opened`, before `shutdown_write`.
  virtual void write(std::vector<core::bytes>& slices) = 0;

  /// Bytes that the kernel did not take yet (with TLS: as they go over the wire).
  virtual std::size_t backlog() const noexcept = 0;

  /// Ends our direction when the backlog is out: close_notify, then FIN. Reading goes on.
  virtual void shutdown_write() = 0;

  /// Closes now and forgets the backlog. Nothing is reported any more. Idempotent.
  virtual void close() = 0;

  /// Has `f` run once when the owner calls `settled`. Whoever made the link, before `start`.
  void when_settled(std::move_only_function<void()> f) { when_settled_ = std::move(f); }
  /// The peer has said what it wants (HELLO, a first request): no stranger any more. Idempotent.
  void settled() {
    if (auto f = std::exchange(when_settled_, {}))
      f();
  }

  /// Bytes of frames that are not complete and that the link itself keeps.
  virtual std::size_t unfinished_bytes() const noexcept { return 0; }

  /// Bytes received and sent, as they go over the wire.
  virtual std::uint64_t bytes_in() const noexcept = 0;
  virtual std::uint64_t bytes_out() const noexcept = 0;

private:
  std::move_only_function<void()> when_settled_;
};

using link_ptr = std::shared_ptr<link>;

/// Bytes asked of a socket in one read, for all links of the process; key `transport.read-buffer`,
/// `limits::read_buffer_bytes` until it is set. A thread keeps the size of its first read.
void set_read_buffer(std::size_t bytes) noexcept;

} // namespace ron::transport
