#include "core/utf8.hpp"
#include "oap/session_impl.hpp"

#include <algorithm>
#include <utility>

namespace ron::oap {

namespace {

// What is wrong with a request to open a stream, or null.
const char* fault_of(const open_request& r, bool x1) noexcept {
  if (r.app == 0)
    return "app 0 is the connection's own";
  if (r.cap.size() > core::limits::oap_cap_bytes_max)
    return "capability above 4096 bytes";
  if (r.name.size() > name_bytes_max || !core::valid_utf8(r.name))
    return "name is not UTF-8 of at most 255 bytes";
  if (r.window > core::limits::oap_ack_window_max)
    return "window above 1024";
  if (r.seq_start >= seq_end - 1)
    return "seq_start leaves no room";
  if (!x1 && (!r.end || !r.name.empty() || r.objects || r.reply_objects))
    return "the peer does not speak x1: only START with END, without name and objects";
  return nullptr;
}

} // namespace

// -- open ----------------------------------------------------------------------------

core::result<corr_t> session::impl::open(const open_request& r) {
  if (role != role::dialer)
    return core::fail(core::ec::bad_request, "only the dialing side opens streams");
  if (over)
    return core::fail(core::ec::cancelled, "the connection is over");
  if (we_drain || peer_drains)
    return core::fail(core::ec::draining, "the connection is draining");
  if (!lim.x1 && !hello_in)
    return core::fail(core::ec::busy, "the peer's HELLO has not come yet");
  if (const auto* fault = fault_of(r, lim.x1))
    return core::fail(core::ec::bad_request, fault);
  auto len = header_bytes + (lim.x1 ? ext_bytes : 0) + r.cap.size() + r.name.size()
             + r.args.size();
  if (len > lim.max_frame)
    return core::fail(core::ec::body_cap, "START does not fit into one frame");
  auto most = lim.x1 ? lim.max_streams : std::min(lim.max_streams, lim.max_inflight);
  if (streams.size() >= most)
    return core::fail(core::ec::busy, "as many streams are open as the peer allows");
  if (out.pending_bytes() >= settings.output_bytes_max)
    return core::fail(core::ec::busy, "the link is behind");

  auto window = r.window ? r.window : lim.ack_window;
  auto& s = streams.open(++last_corr);
  s.tenant = r.tenant;
  s.app = r.app;
  s.ext = lim.x1;
  s.tx_open = !r.end;
  s.rx_open = true;
  s.tx = send_credit{r.seq_start, lim.ack_window};
  s.rx = receive_credit{0, s.ext ? window : 0};
  s.rx_target = window;
  s.tx_obj = obj_rule{r.objects, false};
  s.rx_obj = obj_rule{r.reply_objects, true};
  open_list.push_back(s);
  committed += s.rx.committed();
  ++rx_halves;
  ++cnt.streams;
  out.start({.corr = s.corr,
             .app = r.app,
             .tenant = r.tenant,
             .flags = static_cast<std::uint16_t>((r.end ? flag::end : 0)
                                                 | (r.app_e2e ? flag::app_e2e : 0)),
             .ext = s.ext,
             .objects = r.objects,
             .reply_objects = r.reply_objects,
             .window = window,
             .seq_start = r.seq_start,
             .cap = r.cap,
             .name = r.name,
             .args = r.args});
  return s.corr;
}

// -- send ----------------------------------------------------------------------------

send_status session::impl::send(stream& s, const core::bytes& chunk, const send_options& o) {
  if (!s.tx_open)
    return send_status::no_stream;
  bool dialing = role == role::dialer;
  bool fits = chunk.size() + data_overhead_max <= lim.max_frame;
  bool legal = fits && !(o.push && (dialing || o.end)) && o.status < status_error_min
               && o.raw_len <= core::limits::oap_inflate_bytes_max && (o.raw_len == 0 || lim.zstd);
  if (!legal)
    return send_status::refused;
  if (!s.ext)
    return send_once(s, chunk, o);
  if (chunk.empty() && o.end)
    return end(s, o.status) ? send_status::sent : send_status::no_stream;
  if (auto why = obstacle_of(s); why != obstacle::none)
    return make_wait(s, why);
  if (s.tx_obj.on_frame(!chunk.empty(), o.push, o.obj ? o.obj->hash.data() : nullptr)
      != reason::none)
    return send_status::refused;

  unsigned direction = dialing ? flag::req : o.push ? flag::event : flag::resp;
  unsigned flags = direction | (o.end ? flag::end : 0u) | (o.ack_req ? flag::ack_req : 0u)
                   | (o.raw_len ? flag::comp : 0u) | (o.app_e2e ? flag::app_e2e : 0u);
  tx_share.take();
  out.data({.corr = s.corr,
            .app = s.app,
            .tenant = s.tenant,
            .flags = static_cast<std::uint16_t>(flags),
            .status = dialing ? std::uint16_t{0} : o.status,
            .raw_len = o.raw_len,
            .seq = s.tx.take(),
            .obj = o.obj,
            .total = o.total ? &*o.total : nullptr},
           chunk);
  if (o.end)
    close_tx(s);
  return send_status::sent;
}

// The one answer that a peer without x1 understands.
send_status session::impl::send_once(stream& s, const core::bytes& chunk,
                                     const send_options& o) {
  if (role == role::dialer || !o.end || o.obj || o.total || o.raw_len)
    return send_status::refused;
  out.data({.corr = s.corr,
            .app = s.app,
            .tenant = s.tenant,
            .flags = flag::resp | flag::end,
            .status = o.status,
            .ext = false},
           chunk);
  close_tx(s);
  return send_status::sent;
}

std::uint32_t session::impl::ask_room(stream& s) {
  if (!s.tx_open)
    return 0;
  if (const auto why = obstacle_of(s); why != obstacle::none) {
    make_wait(s, why);
    return 0;
  }
  return std::min(s.tx.room(), tx_share.room());
}

auto session::impl::obstacle_of(const stream& s) const noexcept -> obstacle {
  if (s.tx.room() == 0)
    return obstacle::window;
  if (tx_share.room() == 0)
    return obstacle::share;
  if (out.pending_bytes() >= settings.output_bytes_max)
    return obstacle::output;
  // Whoever waits goes first, or a busy stream would take every place that becomes free.
  return line.empty() || s.turn == round ? obstacle::none : obstacle::line;
}

send_status session::impl::make_wait(stream& s, obstacle o) {
  if (o == obstacle::window)
    ++cnt.window_stalls;
  else if (o == obstacle::share)
    ++cnt.inflight_stalls;
  else if (o == obstacle::output)
    ++cnt.output_stalls;
  if (s.waits == wait_for::nothing)
    ++waiting;
  if (o == obstacle::window) {
    line.remove(s);
    s.waits = wait_for::window;
  } else {
    line.push_back(s);
    s.waits = wait_for::turn;
  }
  return send_status::would_block;
}

bool session::impl::end(stream& s, std::uint16_t status) {
  if (!s.tx_open || status >= status_error_min)
    return false;
  bool dialing = role == role::dialer;
  out.data({.corr = s.corr,
            .app = s.app,
            .tenant = s.tenant,
            .flags = static_cast<std::uint16_t>((dialing ? flag::req : flag::resp) | flag::end),
            .status = dialing ? std::uint16_t{0} : status,
            .ext = s.ext,
            .seq = s.tx.last_sent()},
           {});
  close_tx(s);
  return true;
}

void session::impl::close_tx(stream& s) {
  s.tx_open = false;
  line.remove(s);
  if (std::exchange(s.waits, wait_for::nothing) != wait_for::nothing)
    --waiting;
  if (s.rx_open)
    return;
  forget(s);
  finish_if_drained();
}

// -- ERROR ---------------------------------------------------------------------------

void session::impl::write_stream_error(corr_t corr, std::uint16_t app, const core::tenant& tenant,
                                       bool ext, reason why, std::uint64_t last_seq,
                                       std::string_view message, std::uint32_t retry_after_ms) {
  std::string json;
  if (!ext)
    json = build_error_json(why, message, retry_after_ms, corr);
  out.error({.corr = corr,
             .app = app,
             .tenant = tenant,
             .status = status_of(why),
             .ext = ext,
             .why = why,
             .retry_after_ms = retry_after_ms,
             .last_seq = last_seq,
             .message = ext ? message : std::string_view{json}});
}

void session::impl::write_connection_error(reason why, std::uint64_t last_seq,
                                           std::string_view message,
                                           std::uint32_t retry_after_ms) {
  bool ext = lim.x1 || !hello_in;
  std::string json;
  if (!ext)
    json = build_error_json(why, message, retry_after_ms, 0);
  out.error({.tenant = {},
             .status = status_of(why),
             .ext = ext,
             .why = why,
             .retry_after_ms = retry_after_ms,
             .last_seq = last_seq,
             .message = ext ? message : std::string_view{json}});
}

// -- acknowledgements ------------------------------------------------------------------

void session::impl::note_received(stream& s, bool ack_req) {
  unacked.push_back(s);
  if (ack_req || s.rx.ack_due())
    due.push_back(s);
  if (rx_share.half_used())
    ack_all = true;
}

void session::impl::note_granted(stream& s) {
  if (s.ext && s.rx_open && !s.paused && s.rx.grant_due(allowed_for(s)))
    due.push_back(s);
}

std::uint32_t session::impl::allowed_for(const stream& s) const noexcept {
  auto others = committed - s.rx.committed();
  auto room = budget_frames > others ? budget_frames - others : 0;
  if (room >= s.rx_target) [[likely]]
    return s.rx_target;
  auto share = std::max<std::uint64_t>(1, budget_frames / std::max<std::size_t>(1, rx_halves));
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(s.rx_target, std::max(room, share)));
}

void session::impl::flush_acks() {
  if (std::exchange(ack_all, false))
    for (auto* s = unacked.front(); s; s = unacked.next(*s))
      due.push_back(*s);
  while (auto* s = due.front()) {
    due.remove(*s);
    write_ack(*s);
  }
}

void session::impl::write_ack(stream& s) {
  // A stream whose frames come as fast as they are taken gets more room.
  bool busy = !s.paused && s.rx.unacked() >= s.rx_target / 2
              && s.rx.unconsumed() * 4 <= s.rx_target;
  if (busy && s.rx_target < lim.max_inflight)
    s.rx_target = std::min(s.rx_target * 2, lim.max_inflight);
  auto window = s.paused ? 0 : s.rx.window_for(allowed_for(s));
  std::uint32_t freed = 0;
  with_rx(s, [&](receive_credit& rx) { freed = rx.on_ack_sent(s.rx_open ? window : 0); });
  rx_share.give_back(freed);
  unacked.remove(s);
  out.ack(s.corr, s.rx.received(), window);
}

// -- turns ---------------------------------------------------------------------------

void session::impl::wake(stream& s) {
  if (s.waits != wait_for::window || s.tx.room() == 0)
    return;
  s.waits = wait_for::turn;
  line.push_back(s);
}

void session::impl::give_turns() {
  if (++round == 0)
    round = 1;
  if (over || out.pending_bytes() >= settings.output_bytes_max)
    return;
  auto room = tx_share.room();
  for (auto* s = line.front(); s && room != 0; s = line.front()) {
    line.remove(*s);
    if (s->tx.room() == 0) {
      s->waits = wait_for::window;
      continue;
    }
    s->waits = wait_for::nothing;
    --waiting;
    s->turn = round;
    --room;
    evs.push_back(credit{s->corr});
  }
}

} // namespace ron::oap
