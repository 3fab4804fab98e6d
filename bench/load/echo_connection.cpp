#include "load/echo_connection.hpp"

#include "core/json.hpp"
#include "core/limits.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <span>
#include <utility>

namespace ron::load {

namespace {

core::instant now() {
  return std::chrono::steady_clock::now();
}

std::span<std::uint8_t> input() {
  static std::array<std::uint8_t, core::limits::read_buffer_bytes> buffer;
  return buffer;
}

} // namespace

echo_connection::echo_connection(workload& work, int epoll) : work_(work), epoll_(epoll) {
  // nop
}

echo_connection::~echo_connection() {
  if (fd_ >= 0)
    ::close(fd_);
}

/// It is over, and says nothing more: one failure counts once.
bool echo_connection::lost(const std::string& why) {
  work_.failed(why);
  if (fd_ >= 0)
    ::close(std::exchange(fd_, -1));
  return false;
}

bool echo_connection::open(const sockaddr_in& to) {
  if (fd_ >= 0)
    ::close(fd_);
  over_ = false;
  raw_sent_.clear();
  session_.reset();
  slots_.clear();
  free_.clear();
  cipher_.clear();
  sent_ = 0;
  wants_write_ = false;
  dialled_ = now();
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ < 0
      || (::connect(fd_, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0
          && errno != EINPROGRESS))
    return lost(std::string{"connect: "} + std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  auto wire = work_.wire(work_.resume ? ticket_ : std::nullopt);
  if (!wire)
    return lost(wire.error().message);
  wire_ = std::move(*wire);
  epoll_event e{};
  e.events = EPOLLIN | EPOLLOUT;
  e.data.ptr = this;
  wants_write_ = true; // until it is connected
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd_, &e);
  return true;
}

bool echo_connection::ready(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0 && !receive())
    return false;
  return flush();
}

bool echo_connection::receive() {
  const auto room = input();
  const auto got = ::recv(fd_, room.data(), room.size(), 0);
  if (got < 0)
    return errno == EAGAIN || errno == EINTR
           || lost(std::string{"read: "} + std::strerror(errno));
  if (got == 0)
    return lost("the server closed the connection");
  const bool was_open = wire_->is_open();
  std::vector<core::bytes> plain;
  if (auto ok = wire_->on_bytes({room.data(), static_cast<std::size_t>(got)}, plain); !ok)
    return lost(ok.error().message);
  if (!was_open && wire_->is_open())
    shaken();
  if (work_.what == workload::kind::handshake && wire_->is_open()) {
    ticket_ = wire_->tls()->take_ticket();
    if (!ticket_)
      return true; // it comes behind the handshake; each is good for one resumption
    leave();
    return false;
  }
  for (auto& slice : plain) {
    if (work_.raw && !compare_raw(slice))
      return false;
    if (session_ && !work_.raw)
      session_->on_bytes(std::move(slice), now());
  }
  oap::events events;
  while (session_ && session_->take_events(events))
    for (auto& e : events)
      take(e);
  if (over_)
    leave();
  return !over_;
}

/// The wire is open.
void echo_connection::shaken() {
  if (auto* tls = wire_->tls()) {
    const auto info = tls->info();
    work_.resumed += info.resumed && work_.counting ? 1 : 0;
    work_.cipher = info.cipher;
    work_.group = info.group;
    if (work_.what == workload::kind::idle && info.alpn != "oap/1")
      return; // a server that speaks something else: TLS is all there is
  }
  if (work_.what == workload::kind::handshake)
    return work_.done(dialled_, dialled_, now());
  oap::session_settings s;
  s.ua = work_.agent;
  s.alpn = work_.alpn;
  s.max_streams = 65'536; // one stream a transfer, and twice as many may begin in a second
  s.ack_window = 32;
  session_.emplace(oap::role::dialer, s);
}

/// Bytes of a server that is no node: those that were sent. False when they are not, or all there.
bool echo_connection::compare_raw(const core::bytes& slice) {
  if (!raw_sent_.starts_with(slice.text()))
    return lost("other bytes than were sent");
  raw_sent_.erase(0, slice.size());
  if (!raw_sent_.empty())
    return true;
  work_.done(dialled_, dialled_, now());
  leave();
  return false;
}

void echo_connection::take(const oap::data& d) {
  session_->consumed(d.corr);
  work_.bytes_in += work_.counting ? d.bytes.size() : 0;
  const auto found = slots_.find(d.corr);
  if (found == slots_.end() || !found->second.busy)
    return;
  auto& s = found->second;
  if (std::exchange(s.result_due, false))
    return;
  const auto at = work_.payload - s.left;
  if (!work_.expected.empty() && work_.expected.compare(at, d.bytes.size(), d.bytes.text()) != 0)
    work_.failed("other bytes than expected at " + std::to_string(at));
  s.left -= std::min<std::uint64_t>(s.left, d.bytes.size());
  if (s.left == 0)
    complete(d.corr);
}

void echo_connection::take(oap::event& e) {
  if (std::holds_alternative<oap::peer_hello>(e)) {
    over_ = work_.what == workload::kind::hello;
    if (over_ || work_.what == workload::kind::idle)
      return work_.done(dialled_, dialled_, now());
    for (std::size_t i = 0; i < work_.streams; ++i)
      open_stream();
  } else if (auto* d = std::get_if<oap::data>(&e)) {
    take(*d);
  } else if (auto* c = std::get_if<oap::credit>(&e)) {
    if (auto s = slots_.find(c->corr); s != slots_.end() && s->second.unsent)
      s->second.unsent
        = session_->send(c->corr, work_.bytes) == oap::send_status::would_block;
  } else if (auto* bad = std::get_if<oap::stream_error>(&e)) {
    work_.failed("stream: " + std::string{bad->message.text()});
    slots_.erase(bad->corr);
  }
}

void echo_connection::open_stream() {
  const bool bulk = work_.what == workload::kind::stream;
  oap::open_request r;
  const bool object = bulk && !work_.object_args.empty();
  r.name = object ? "o.get" : bulk ? "source" : "echo";
  const auto args = object ? work_.object_args
                    : bulk ? core::dump_cbor({{"bytes", work_.payload}})
                           : core::bytes{};
  r.args = args.view();
  r.reply_objects = object;
  r.end = bulk;
  auto corr = session_->open(r);
  if (!corr)
    return work_.failed(corr.error().message);
  if (bulk)
    slots_[*corr] = {now(), now(), work_.payload, true, false, object};
  else if (work_.paced)
    free_.push_back(*corr);
  else
    begin(*corr, work_.what == workload::kind::visit ? dialled_ : now());
}

void echo_connection::begin(oap::corr_t corr, core::instant due) {
  auto& s = slots_[corr];
  s = {due, work_.paced ? now() : due, work_.payload, true, false, false};
  s.unsent = session_->send(corr, work_.bytes) == oap::send_status::would_block;
}

void echo_connection::complete(oap::corr_t corr) {
  const auto t = now();
  auto& s = slots_[corr];
  s.busy = false;
  work_.done(s.due, s.sent, t);
  if (work_.what == workload::kind::stream) {
    slots_.erase(corr);
    open_stream();
  } else if (work_.what == workload::kind::visit) {
    if (auto* tls = wire_->tls())
      ticket_ = tls->take_ticket();
    over_ = true;
  } else if (work_.paced) {
    free_.push_back(corr);
  } else {
    begin(corr, t);
  }
}

void echo_connection::leave() {
  if (fd_ < 0 || !wire_ || !wire_->is_open())
    return;
  wire_->shutdown();
  flush();
}

bool echo_connection::feed() {
  if (fd_ < 0 || free_.empty() || work_.due.empty())
    return false;
  begin(free_.back(), work_.due.front());
  free_.pop_back();
  work_.due.pop_front();
  flush();
  return true;
}

bool echo_connection::flush() {
  while (true) {
    if (cipher_.empty()) {
      plain_.clear();
      if (session_ && session_->take(plain_)) {
        if (work_.raw)
          for (const auto& slice : plain_)
            raw_sent_ += slice.text();
        if (auto ok = wire_->write(plain_); !ok)
          return lost(ok.error().message);
      }
      wire_->take_output(cipher_);
      sent_ = 0;
      if (cipher_.empty())
        break;
    }
    std::array<iovec, 64> parts;
    std::size_t n = 0;
    for (; n < std::min(cipher_.size(), parts.size()); ++n) {
      const auto skip = n == 0 ? sent_ : 0;
      parts[n] = {const_cast<std::uint8_t*>(cipher_[n].data()) + skip, cipher_[n].size() - skip};
    }
    msghdr m{};
    m.msg_iov = parts.data();
    m.msg_iovlen = n;
    const auto sent = ::sendmsg(fd_, &m, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno == EAGAIN || errno == ENOTCONN)
        break;
      return lost(std::string{"write: "} + std::strerror(errno));
    }
    sent_ += static_cast<std::size_t>(sent);
    std::size_t gone = 0;
    while (gone < cipher_.size() && sent_ >= cipher_[gone].size())
      sent_ -= cipher_[gone++].size();
    cipher_.erase(cipher_.begin(), cipher_.begin() + static_cast<std::ptrdiff_t>(gone));
  }
  if (wants_write_ != !cipher_.empty()) {
    wants_write_ = !cipher_.empty();
    epoll_event e{};
    e.events = wants_write_ ? EPOLLIN | EPOLLOUT : EPOLLIN;
    e.data.ptr = this;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, fd_, &e);
  }
  return true;
}

} // namespace ron::load
