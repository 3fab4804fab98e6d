#include "transport/quic/connection_impl.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <utility>

namespace ron::transport::quic {

/// Fills one packet with what streams have to say, in turns.
ngtcp2_ssize connection::impl::write_packet(ngtcp2_path* to, ngtcp2_pkt_info* info,
                                            std::uint8_t* buffer, std::size_t size,
                                            ngtcp2_tstamp t) {
  constexpr std::size_t pieces_max = 16;
  bool may_send = true;
  while (true) {
    auto* s = may_send && !line.empty() ? line.front() : nullptr;
    std::array<iovec, pieces_max> pieces;
    std::array<ngtcp2_vec, pieces_max> native;
    std::size_t n = 0;
    std::size_t offered = 0;
    if (s) {
      n = s->queue.gather(pieces);
      for (std::size_t i = 0; i < n; ++i) {
        native[i] = {static_cast<std::uint8_t*>(pieces[i].iov_base), pieces[i].iov_len};
        offered += pieces[i].iov_len;
      }
    }
    const bool fin = s && s->fin && offered == s->queue.unsent();
    // A packet that is full but for the few bytes in which no frame goes is padded: only datagrams
    // of one size leave in one system call. The last one is as short as it is.
    std::uint32_t flags = s ? NGTCP2_WRITE_STREAM_FLAG_MORE | NGTCP2_WRITE_STREAM_FLAG_PADDING
                            : NGTCP2_WRITE_STREAM_FLAG_NONE;
    if (fin)
      flags |= NGTCP2_WRITE_STREAM_FLAG_FIN;
    ngtcp2_ssize took = -1;
    const auto rc = ngtcp2_conn_writev_stream(conn.get(), to, info, buffer, size, &took, flags,
                                              s ? s->id : -1, native.data(), n, t);
    if (s && took >= 0)
      note_sent(*s, static_cast<std::size_t>(took),
                fin && static_cast<std::size_t>(took) == offered);
    switch (rc) {
    case NGTCP2_ERR_WRITE_MORE:
      continue;
    case NGTCP2_ERR_STREAM_DATA_BLOCKED:
      if (ngtcp2_conn_get_max_data_left(conn.get()) == 0) {
        may_send = false; // the connection's window: everybody waits
      } else {
        s->blocked = true;
        leave_line(*s);
      }
      continue;
    case NGTCP2_ERR_STREAM_SHUT_WR:
    case NGTCP2_ERR_STREAM_NOT_FOUND:
      kill(*s);
      continue;
    default:
      take_turns();
      return rc;
    }
  }
}

void connection::impl::note_sent(outgoing& s, std::size_t n, bool fin) {
  s.queue.sent(n);
  s.turn += n;
  unsent -= n;
  s.fin_sent = s.fin_sent || fin;
  if (s.queue.unsent() == 0 && (!s.fin || s.fin_sent))
    leave_line(s);
}

/// Between two packets: whoever had its share goes to the end.
void connection::impl::take_turns() {
  if (line.size() < 2 || line.front()->turn < turn_bytes)
    return;
  auto* s = line.front();
  s->turn = 0;
  line.pop_front();
  line.push_back(s);
}

// -- streams ---------------------------------------------------------------------------

/// A stream of the peer is over: it may open another one. It hears of many at once while it has
/// enough left, because MAX_STREAMS in each packet would make the peer acknowledge all of them.
void connection::impl::allow_streams() {
  ++streams_owed;
  if (streams_owed < (streams_allowed - streams_opened) / 4)
    return;
  streams_allowed += streams_owed;
  said_all = false;
  ngtcp2_conn_extend_max_streams_bidi(conn.get(), std::exchange(streams_owed, 0));
}

connection::impl::outgoing* connection::impl::find(stream_id id) {
  auto i = streams.find(id);
  return i == streams.end() ? nullptr : &i->second;
}

void connection::impl::stand_in_line(outgoing& s) {
  if (s.in_line || s.blocked || s.dead)
    return;
  if (s.queue.unsent() == 0 && (!s.fin || s.fin_sent))
    return;
  s.in_line = true;
  s.turn = 0;
  line.push_back(&s);
}

void connection::impl::leave_line(outgoing& s) {
  if (!std::exchange(s.in_line, false))
    return;
  if (line.front() == &s)
    line.pop_front();
  else
    std::erase(line, &s);
}

/// Nothing more goes out on this stream.
void connection::impl::kill(outgoing& s) {
  leave_line(s);
  s.dead = true;
  unsent -= s.queue.drop_unsent();
}

/// Client: the server did not take early data. ngtcp2 has forgotten the streams; they are opened
/// again, in the same order and so with the same ids, and all that they said goes again. False if
/// the server allows fewer of them than it did before.
bool connection::impl::repeat_early() {
  line.clear();
  std::vector<stream_id> opened;
  for (auto& [id, s] : streams)
    opened.push_back(id);
  std::ranges::sort(opened);
  for (stream_id next = 0; !opened.empty() && next <= opened.back(); next += 4) {
    std::int64_t id = -1;
    if (ngtcp2_conn_open_bidi_stream(conn.get(), &id, nullptr) != 0 || id != next)
      return false;
    auto* s = find(id);
    if (!s)
      continue; // nothing was sent on it
    unsent += s->queue.rewind();
    s->fin_sent = s->blocked = s->in_line = false;
    if (s->dead)
      ngtcp2_conn_shutdown_stream_write(conn.get(), 0, id, s->why);
    stand_in_line(*s);
  }
  return true;
}

std::optional<stream_id> connection::open_stream() {
  std::int64_t id = -1;
  if (!impl_->may_talk()
      || ngtcp2_conn_open_bidi_stream(impl_->conn.get(), &id, nullptr) != 0)
    return std::nullopt;
  return id;
}

void connection::send(stream_id id, core::bytes slice) {
  auto& me = *impl_;
  if (!me.may_talk())
    return;
  auto& s = me.streams.try_emplace(id, impl::outgoing{.id = id}).first->second;
  if (s.dead || s.fin)
    return;
  me.unsent += slice.size();
  s.queue.push(std::move(slice));
  me.stand_in_line(s);
}

void connection::finish(stream_id id) {
  auto& me = *impl_;
  if (!me.may_talk())
    return;
  auto& s = me.streams.try_emplace(id, impl::outgoing{.id = id}).first->second;
  if (s.dead || std::exchange(s.fin, true))
    return;
  me.stand_in_line(s);
}

void connection::reset(stream_id id, app_code code) {
  auto& me = *impl_;
  if (!me.may_talk())
    return;
  auto& s = me.streams.try_emplace(id, impl::outgoing{.id = id}).first->second;
  s.why = code;
  me.said_all = false;
  me.kill(s);
  ngtcp2_conn_shutdown_stream_write(me.conn.get(), 0, id, code);
}

void connection::stop(stream_id id, app_code code) {
  if (!impl_->may_talk())
    return;
  impl_->said_all = false;
  ngtcp2_conn_shutdown_stream_read(impl_->conn.get(), 0, id, code);
}

void connection::credit(std::size_t n) {
  constexpr std::size_t worth_telling = 128u << 10; // less than what ngtcp2 waits for
  if (impl_->credit_owed += n; impl_->credit_owed >= worth_telling) {
    impl_->credit_owed = 0;
    impl_->said_all = false;
  }
  auto* conn = impl_->conn.get();
  ngtcp2_conn_extend_max_offset(conn, n);
  if (!impl_->window.read(n))
    return;
  ngtcp2_conn_info info{};
  ngtcp2_conn_get_conn_info(conn, &info);
  using ns = std::chrono::nanoseconds;
  ngtcp2_conn_extend_max_offset(
    conn, impl_->window.grown(ns{impl_->last_time}, ns{info.smoothed_rtt}));
}

} // namespace ron::transport::quic
