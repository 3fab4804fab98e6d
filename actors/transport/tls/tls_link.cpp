#include "transport/tls/tls_link.hpp"

#include "transport/socket_link.hpp"

#include <time.h>

#include <algorithm>
#include <optional>
#include <span>

namespace ron::transport {

namespace {

using core::crypto::tls_session;

/// After a second without writing, TCP starts slowly again and so do we.
constexpr time_t idle_seconds = 1;

class tls_link final : public socket_link {
public:
  tls_link(boost::asio::io_context& io, unique_fd fd, std::string peer, tls_session session,
           link_owner owner, handshake_line_ptr line)
    : socket_link(io, std::move(fd), std::move(peer), owner),
      session_(std::move(session)) {
    if (line)
      shaking_.emplace(std::move(line));
  }

  ~tls_link() override {
    if (shaking_ && has_failed())
      shaking_->ends_as(handshake::failed);
  }

  void start() override {
    send_output();
    want_bytes();
  }

  void read(std::size_t partial, std::size_t missing) override {
    if (partial == 0 && !holds_slice())
      slab_ = {}; // an idle link keeps no buffer
    socket_link::read(partial, missing);
  }

private:
  void readable() override;
  void arrived(core::byte_view raw) override;
  void ended() override;
  bool seal(std::vector<core::bytes>& slices) override;
  void seal_end(std::vector<core::bytes>& slices) override;

  bool ends_slab() noexcept;
  bool decrypt(core::byte_view& raw, std::span<std::uint8_t> room, core::bytes& out);
  void go_on(core::bytes slice);
  void send_output();
  void report_open();
  bool was_idle();

  tls_session session_;
  std::optional<handshake_place> shaking_; ///< until the handshake is complete
  core::slab slab_;
  time_t last_write_ = 0;
};

/// The slab is half full and the rest of the unfinished frame fits: it is completed there, and what
/// follows it begins the next slab, so that no frame straddles two of them.
bool tls_link::ends_slab() noexcept {
  const auto room = slab_.room().size();
  return reading() && partial() > 0 && missing() > 0 && missing() <= room
         && room < core::limits::bulk_slab_bytes / 2;
}

void tls_link::readable() {
  if (!shaking_)
    return read_socket();
  shaking_->line().enter([me = shared_from_this(), this, keep = owner().hold()] {
    if (!is_closed())
      owner().enter([this] { read_socket(); });
  });
}

void tls_link::arrived(core::byte_view raw) {
  const auto was_open = session_.is_open();
  if (ends_slab()) {
    core::bytes end;
    if (!decrypt(raw, slab_.room().first(missing()), end))
      return;
    if (end.size() < missing())
      return go_on(std::move(end));
    slab_ = core::slab{std::max(core::limits::bulk_slab_bytes, tls_session::room_for(raw.size()))};
    core::bytes next;
    if (!decrypt(raw, slab_.room(), next))
      return;
    hold(std::move(next));
    return go_on(std::move(end));
  }
  const auto need = session_.holds_partial() ? tls_session::room_for(raw.size()) : raw.size();
  if (partial() == 0 || slab_.room().size() < need)
    slab_ = core::slab{partial() > 0 ? std::max(core::limits::bulk_slab_bytes, need) : need};
  core::bytes slice;
  if (!decrypt(raw, slab_.room(), slice))
    return;
  if (!was_open && session_.is_open()) {
    report_open();
    if (!is_closed())
      send_output(); // of the handshake, unless the owner has written: then it went along
  }
  go_on(std::move(slice));
}

/// Reports what was decrypted, and the end if it has come; reads on if it is asked for.
void tls_link::go_on(core::bytes slice) {
  if (!is_closed() && !slice.empty())
    deliver(std::move(slice));
  if (is_closed())
    return;
  if (session_.peer_closed())
    end_reading(true);
  else if (!session_.is_open() || (reading() && !holds_slice()))
    want_bytes();
}

/// Takes of `raw` what has room, and says what goes out for it: handshake messages, answers to key
/// updates, the alert that says why not. False after a failure.
bool tls_link::decrypt(core::byte_view& raw, std::span<std::uint8_t> room, core::bytes& out) {
  auto begin = slab_.filled();
  const auto was_open = session_.is_open();
  auto done = session_.feed(raw, room);
  if (was_open || !session_.is_open() || !done)
    send_output();
  if (!done) {
    fail(done.error());
    return false;
  }
  raw = raw.subspan(done->consumed);
  slab_.commit(done->produced);
  out = slab_.cut(begin, done->produced);
  return true;
}

void tls_link::ended() {
  if (session_.is_open())
    end_reading(session_.peer_closed());
  else
    fail({core::ec::bad_request, "TLS handshake: the peer closed the connection"});
}

bool tls_link::seal(std::vector<core::bytes>& slices) {
  if (was_idle())
    session_.restart_small_records();
  auto ok = session_.write(slices);
  slices.clear();
  if (!ok) {
    fail_later(ok.error());
    return false;
  }
  session_.take_output(slices);
  return true;
}

void tls_link::seal_end(std::vector<core::bytes>& slices) {
  session_.shutdown();
  session_.take_output(slices);
}

void tls_link::send_output() {
  if (session_.output_bytes() == 0)
    return;
  std::vector<core::bytes> out;
  session_.take_output(out);
  send_raw(out);
}

void tls_link::report_open() {
  auto info = session_.info();
  if (shaking_)
    shaking_->succeeds(info);
  shaking_.reset();
  owner().events().link_opened({.peer = peer(),
                                .alpn = std::move(info.alpn),
                                .tls_version = std::move(info.version),
                                .tls_cipher = std::move(info.cipher),
                                .tls_group = std::move(info.group),
                                .tls_resumed = info.resumed,
                                .peer_cert_sha256 = std::move(info.peer_cert_sha256)});
}

bool tls_link::was_idle() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  return now.tv_sec - std::exchange(last_write_, now.tv_sec) > idle_seconds;
}

} // namespace

link_ptr make_tls_link(boost::asio::io_context& io, unique_fd fd, std::string peer,
                       tls_session session, link_owner owner, handshake_line_ptr line) {
  return std::make_shared<tls_link>(io, std::move(fd), std::move(peer), std::move(session), owner,
                                    std::move(line));
}

} // namespace ron::transport
