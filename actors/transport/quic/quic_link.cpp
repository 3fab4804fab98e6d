#include "transport/quic/quic_link.hpp"

#include "oap/reject.hpp"
#include "transport/quic/hub.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

#include <utility>

namespace ron::transport::quic {

namespace {

/// The owner may write on when this little is left of its backlog: sooner than at nothing, or the
/// wire would stand still for a turn.
constexpr std::size_t backlog_low = 64u << 10;

} // namespace

quic_link::quic_link(std::weak_ptr<hub> owner, connection& c, std::string peer,
                     std::uint32_t frame_max)
    : hub_(std::move(owner)), connection_(&c), lanes_(side::server, c, frame_max),
      peer_(std::move(peer)) {
  // nop
}

quic_link::~quic_link() = default;

/// Runs `f` soon, as the owner, unless closed by then.
template <class F>
void quic_link::post(F f) {
  auto h = hub_.lock();
  if (!h)
    return;
  boost::asio::post(h->home().io(), [me = shared_from_this(), this, keep = owner_->hold(),
                                     f = std::move(f)]() mutable {
    if (!closed_)
      owner_->enter(f);
  });
}

void quic_link::start() {
  if (connection_ && (connection_->state() == connection::phase::open || connection_->early()))
    tls_ = connection_->tls();
  post([this] {
    if (over_)
      return tell_end();
    owner_->events().link_opened({.peer = peer_,
                                  .alpn = tls_.alpn,
                                  .tls_version = tls_.version,
                                  .tls_cipher = tls_.cipher,
                                  .tls_group = tls_.group,
                                  .tls_resumed = tls_.resumed,
                                  .peer_cert_sha256 = tls_.peer_cert_sha256,
                                  .independent_streams = true});
  });
}

// -- reading ---------------------------------------------------------------------------

void quic_link::read(std::size_t, std::size_t) {
  if (closed_ || reading_)
    return;
  reading_ = true;
  if (has_news())
    post([this] { tell(); });
}

/// There is something that `tell` would say.
bool quic_link::has_news() const noexcept {
  if (lanes_.ready())
    return reading_;
  const bool end = over_ || lanes_.breach() != oap::reason::none || lanes_.peer_done();
  return !told_ && (end || (reading_ && !told_partial_ && lanes_.unfinished_control() != 0));
}

void quic_link::look() {
  if (!owner_ || closed_)
    return;
  if (connection_ && connection_->state() > connection::phase::open && !over_) {
    over_ = true;
    ending_ = connection_->ending();
  }
  told_partial_ = told_partial_ && lanes_.unfinished_control() != 0;
  if (has_news())
    owner_->enter([this] { tell(); });
}

std::size_t quic_link::age(std::chrono::milliseconds patience) {
  // While the owner does not read, the peer may be held back by what is here already.
  return closed_ || over_ || !connection_ || lanes_.ready() ? 0 : lanes_.age(patience);
}

/// As the owner: what it waits for, if that is here. One thing at a time.
void quic_link::tell() {
  if (closed_)
    return;
  auto& to = owner_->events();
  if (lanes_.ready()) {
    if (std::exchange(reading_, false))
      to.link_read(lanes_.take());
  } else if (told_) {
    return;
  } else if (lanes_.breach() != oap::reason::none) {
    if (!std::exchange(reading_, false))
      return;
    told_ = true;
    to.link_breach(lanes_.breach());
  } else if (over_) {
    tell_end();
  } else if (lanes_.peer_done()) {
    if (!std::exchange(reading_, false))
      return;
    told_ = true;
    to.link_read_end(true);
  } else if (reading_ && lanes_.unfinished_control() != 0 && !std::exchange(told_partial_, true)) {
    to.link_partial();
  }
}

/// The connection is over: in good order, or not.
void quic_link::tell_end() {
  auto& to = owner_->events();
  const bool clean = ending_.by_peer && ending_.application && ending_.code == 0;
  if (clean) {
    if (!std::exchange(reading_, false))
      return;
    told_ = true;
    return to.link_read_end(true);
  }
  told_ = true;
  close();
  to.link_failed({core::ec::cancelled, "QUIC: " + ending_.text});
}

// -- writing ---------------------------------------------------------------------------

void quic_link::write(std::vector<core::bytes>& slices) {
  if (closed_ || shut_down_ || over_ || !connection_) {
    slices.clear();
    return;
  }
  lanes_.write(slices);
  if (auto h = hub_.lock())
    h->flush(*connection_);
  behind_ = backlog() != 0;
}

std::size_t quic_link::backlog() const noexcept {
  return connection_ && !over_ ? connection_->unsent_bytes() : 0;
}

void quic_link::sent() {
  if (!owner_ || closed_ || !behind_ || backlog() > backlog_low)
    return;
  behind_ = backlog() != 0;
  owner_->enter([this] {
    if (!closed_)
      owner_->events().link_written();
  });
}

/// Ends stream 0: there will be no more frames. CONNECTION_CLOSE would make the peer forget what it
/// has not read, so that is for `close`.
void quic_link::shutdown_write() {
  if (closed_ || over_ || !connection_ || std::exchange(shut_down_, true))
    return;
  connection_->finish(0);
  if (auto h = hub_.lock())
    h->flush(*connection_);
  behind_ = backlog() != 0;
}

// -- the end ---------------------------------------------------------------------------

void quic_link::close() {
  if (std::exchange(closed_, true) || !connection_)
    return;
  auto why = lanes_.close_reason();
  if (why == oap::reason::none)
    why = lanes_.breach();
  connection_->close(static_cast<app_code>(why));
  if (auto h = hub_.lock())
    h->flush(*connection_);
}

void quic_link::detach() {
  if (!connection_)
    return;
  ending_ = connection_->ending();
  bytes_in_ = connection_->bytes_in();
  bytes_out_ = connection_->bytes_out();
  connection_ = nullptr;
  over_ = true;
  lanes_.detach();
}

std::uint64_t quic_link::bytes_in() const noexcept {
  return connection_ ? connection_->bytes_in() : bytes_in_;
}

std::uint64_t quic_link::bytes_out() const noexcept {
  return connection_ ? connection_->bytes_out() : bytes_out_;
}

} // namespace ron::transport::quic
