#include "transport/tls/tls_link.hpp"

#include "transport/socket_link.hpp"

#include <time.h>

#include <algorithm>
#include <optional>

namespace ron::transport {

namespace {

using core::crypto::tls_session;

/// Slabs that are read on into, so that few frames straddle two of them.
constexpr std::size_t bulk_slab_bytes = 2 * core::limits::read_buffer_bytes;

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

  void read(std::size_t partial) override {
    if (partial == 0)
      slab_ = {}; // an idle link keeps no buffer
    socket_link::read(partial);
  }

private:
  void readable() override;
  void arrived(core::byte_view raw) override;
  void ended() override;
  bool seal(std::vector<core::bytes>& slices) override;
  void seal_end(std::vector<core::bytes>& slices) override;

  void make_room(std::size_t ciphertext);
  void send_output();
  void report_open();
  bool was_idle();

  tls_session session_;
  std::optional<handshake_place> shaking_; ///< until the handshake is complete
  core::slab slab_;
  time_t last_write_ = 0;
};

void tls_link::make_room(std::size_t ciphertext) {
  auto need = session_.holds_partial() ? tls_session::room_for(ciphertext) : ciphertext;
  if (partial() > 0 && slab_.room().size() >= need)
    return;
  slab_ = core::slab{partial() > 0 ? std::max(need, bulk_slab_bytes) : need};
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
  auto was_open = session_.is_open();
  make_room(raw.size());
  auto begin = slab_.filled();
  auto done = session_.feed(raw, slab_.room());
  send_output(); // handshake messages, answers to key updates, or the alert that says why not
  if (!done)
    return fail(done.error());
  slab_.commit(done->produced);
  auto slice = slab_.cut(begin, done->produced); // now: the owner may ask for a read meanwhile
  if (!was_open && session_.is_open())
    report_open();
  if (!is_closed() && !slice.empty())
    deliver(std::move(slice));
  if (is_closed())
    return;
  if (session_.peer_closed())
    end_reading(true);
  else if (!session_.is_open() || reading())
    want_bytes();
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
    shaking_->ends_as(info.resumed ? handshake::resumed : handshake::full);
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
