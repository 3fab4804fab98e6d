#include "oap/session_impl.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

namespace ron::oap {

namespace {

// A client that was refused for its rate may try again when the sliding second has passed.
constexpr std::uint32_t start_retry_ms = 1'000;
// The first block for a frame that straddles reads; also the largest that is kept for the next.
constexpr std::size_t carry_bytes_min = 256;
constexpr std::size_t carry_bytes_kept = 4'096;

// The part of `from` that `v`, a view into it, shows.
core::bytes part(const core::bytes& from, core::byte_view v) noexcept {
  if (v.empty())
    return {};
  return from.slice(static_cast<std::size_t>(v.data() - from.data()), v.size());
}

core::bytes part(const core::bytes& from, std::string_view s) noexcept {
  return part(from, core::byte_view{reinterpret_cast<const std::uint8_t*>(s.data()), s.size()});
}

} // namespace

// -- bytes ---------------------------------------------------------------------------

void session::impl::on_bytes(core::bytes slice, core::instant t) {
  cnt.bytes_in += slice.size();
  if (over) {
    cnt.bytes_discarded += slice.size();
    return;
  }
  now = t;
  if (slice.empty())
    return;
  if (joined.filled() == 0 && tail.empty()) {
    read_frames(std::move(slice));
  } else if (joined.filled() == 0 && tail.extend(slice)) {
    if (tail.size() >= want)
      read_frames(std::exchange(tail, {}));
  } else {
    join(std::move(slice));
  }
}

void session::impl::read_frames(core::bytes in) {
  auto view = in.view();
  while (!view.empty() && !over) {
    auto r = next(view, rlim);
    if (r.is == read_status::need_more) {
      want = r.len;
      tail = part(in, view);
      return;
    }
    frame_at = cnt.bytes_in - view.size();
    if (r.is == read_status::frame)
      handle(view_of(view, r), in);
    else
      handle_reject(view, r);
    view = view.subspan(r.len);
  }
  cnt.bytes_discarded += view.size();
}

void session::impl::join(core::bytes slice) {
  auto view = slice.view();
  if (want > header_bytes && partial_bytes() + view.size() >= want)
    carry_room(want - joined.filled(), true);
  carry_tail();
  while (!view.empty()) {
    auto missing = want - joined.filled();
    auto n = std::min(missing, view.size());
    carry_room(n, n == missing && want > header_bytes);
    carry(view.first(n));
    view = view.subspan(n);
    if (n < missing)
      return;
    auto r = next(joined.view(), rlim);
    if (r.is == read_status::need_more) {
      want = r.len;
      continue;
    }
    frame_at = cnt.bytes_in - view.size() - joined.filled();
    if (r.is == read_status::frame) {
      auto from = joined.cut(0, joined.filled());
      handle(view_of(from.view(), r), from);
    } else {
      handle_reject(joined.view(), r);
    }
    if (joined.unshared() && joined.capacity() <= carry_bytes_kept)
      joined.rewind();
    else
      joined = core::slab{};
    break;
  }
  if (joined.filled() != 0)
    return;
  if (over)
    cnt.bytes_discarded += view.size();
  else if (!view.empty())
    read_frames(part(slice, view));
}

void session::impl::carry_room(std::size_t n, bool last) {
  if (joined.room().size() >= n)
    return;
  auto needed = joined.filled() + n;
  auto grown = std::min<std::size_t>(std::max(joined.capacity() * 2, carry_bytes_min),
                                     rlim.max_frame);
  core::slab larger{last ? needed : std::max(needed, grown)};
  auto old = joined.view();
  if (!old.empty())
    std::memcpy(larger.room().data(), old.data(), old.size());
  larger.commit(old.size());
  cnt.bytes_copied += old.size();
  joined = std::move(larger);
  assert(joined.capacity() <= std::max<std::size_t>(rlim.max_frame, carry_bytes_min));
}

void session::impl::carry(core::byte_view v) {
  std::memcpy(joined.room().data(), v.data(), v.size());
  joined.commit(v.size());
  cnt.bytes_copied += v.size();
}

void session::impl::carry_tail() {
  if (tail.empty())
    return;
  carry_room(tail.size(), false);
  carry(tail.view());
  tail = {};
}

void session::impl::handle_reject(core::byte_view in, const read_result& r) {
  frame_length = load_be<std::uint32_t>(in.data());
  if (info(r.why).scope == scope::connection) {
    reject_connection(r.why);
    return;
  }
  auto f = view_of(in, r);
  if (auto* s = streams.find(f.corr()))
    reject_stream(*s, r.why);
  else
    reject_closed(f, r.why);
}

void session::impl::on_eof(bool clean) {
  if (over)
    return;
  if (partial_bytes() == 0 && streams.size() == 0) {
    finish(reason::none, false, 0);
    return;
  }
  constexpr auto why = reason::truncated;
  frame_at = cnt.bytes_in - partial_bytes();
  count(why, 0);
  if (clean) // somebody may still read on the other side
    write_connection_error(why, last_accepted, reject_text(why), 0);
  finish(why, true, status_of(why), core::bytes::literal(reject_text(why)));
}

// -- frames --------------------------------------------------------------------------

void session::impl::handle(const frame_view& f, const core::bytes& from) {
  ++cnt.frames_in[static_cast<std::size_t>(f.kind())];
  if (f.kind() == kind::hello)
    return on_hello(f);
  if (!hello_in || !direction_ok(f))
    return reject_connection(reason::state_conn);
  switch (f.kind()) {
    case kind::data:
    case kind::end:
      return on_data(f, from);
    case kind::ack:
      return on_ack(f);
    case kind::start:
      return on_start(f, from);
    case kind::error:
      return f.app() == 0 ? on_connection_error(f, from) : on_stream_error(f, from);
    case kind::hello:
      break;
  }
}

bool session::impl::direction_ok(const frame_view& f) const noexcept {
  if (f.app() == 0 || f.kind() == kind::error)
    return true;
  return f.has(flag::req) == (role == role::acceptor);
}

void session::impl::on_hello(const frame_view& f) {
  auto theirs = parse_hello(f.body());
  if (!theirs)
    return reject_connection(reason::bad_hello);
  if (hello_in || f.has(flag::req) != (role == role::acceptor))
    return reject_connection(reason::state_conn);
  hello_in = true;
  adopt(negotiate(ours, *theirs, settings.alpn));
  // Streams opened on the floors: nothing was acknowledged yet, because HELLO comes first.
  for (auto* s = open_list.front(); s; s = open_list.next(*s)) {
    s->tx.widen(lim.ack_window);
    wake(*s);
  }
  evs.push_back(peer_hello{lim, std::make_shared<const hello>(std::move(*theirs))});
}

// -- START ---------------------------------------------------------------------------

void session::impl::on_start(const frame_view& f, const core::bytes& from) {
  if (f.corr() <= last_corr && !unopened.take(f.corr())) {
    if (auto* s = streams.find(f.corr()))
      return reject_stream(*s, reason::state_stream);
    return reject_closed(f, reason::state_stream);
  }
  if (f.corr() > last_corr) {
    const std::size_t gaps_max = std::size_t{2} * lim.max_streams;
    if (settings.independent_streams && !unopened.skip_to(last_corr, f.corr(), gaps_max))
      return reject_connection(reason::state_conn);
    last_corr = f.corr();
  }
  auto s = read_start(f);
  if (!lim.x1 && !f.has(flag::end))
    return reject_closed(f, reason::state_stream);
  if (s.seq_start == seq_end)
    return reject_closed(f, reason::seq_gap);
  auto why = start_refusal();
  if (why == reason::none)
    return accept(f, s, from);
  ++cnt.starts_refused;
  write_stream_error(f.corr(), f.app(), f.tenant(), lim.x1, why, s.seq_start, to_string(why),
                     start_retry_ms);
  errs.remember({.corr = f.corr(),
                 .frames_left = f.has(flag::end) ? 0 : lim.ack_window});
}

reason session::impl::start_refusal() {
  if (we_drain)
    return reason::drain;
  auto most = lim.x1 ? lim.max_streams : std::min(lim.max_streams, lim.max_inflight);
  if (streams.size() >= most || !starts.take(now, std::uint64_t{2} * lim.max_streams))
    return reason::stream_limit;
  return reason::none;
}

void session::impl::accept(const frame_view& f, const start_fields& s, const core::bytes& from) {
  bool half_closed = f.has(flag::end);
  auto& st = streams.open(f.corr());
  st.tenant = f.tenant();
  st.app = f.app();
  st.ext = lim.x1;
  st.tx_open = true;
  st.rx_open = !half_closed;
  st.tx = send_credit{0, s.window ? s.window : lim.ack_window};
  st.rx = receive_credit{s.seq_start, half_closed ? 0 : lim.ack_window};
  st.rx_target = lim.ack_window;
  st.rx_obj = obj_rule{s.objects, false};
  st.tx_obj = obj_rule{s.reply_objects, true};
  open_list.push_back(st);
  committed += st.rx.committed();
  rx_halves += st.rx_open ? 1 : 0;
  last_accepted = std::max(last_accepted, f.corr());
  ++cnt.streams;
  if (f.has(flag::ack_req) && st.ext)
    due.push_back(st);
  evs.push_back(opened{.corr = f.corr(),
                       .app = f.app(),
                       .tenant = st.tenant,
                       .objects = s.objects,
                       .reply_objects = s.reply_objects,
                       .half_closed = half_closed,
                       .app_e2e = f.has(flag::app_e2e),
                       .name = part(from, s.name),
                       .cap = part(from, f.cap()),
                       .args = part(from, s.args)});
  for (early_ack a; streams.find(f.corr()) && unopened.take_ack(f.corr(), a);)
    take_ack(*streams.find(f.corr()), a.up_to, a.window);
}

// -- DATA and END --------------------------------------------------------------------

void session::impl::on_data(const frame_view& f, const core::bytes& from) {
  auto d = read_data(f);
  bool end = f.kind() == kind::end;
  bool empty_end = end && d.bytes.empty();
  auto* s = streams.find(f.corr());
  if (!s)
    return never_opened(f.corr()) ? reject_connection(reason::state_conn) : on_late(f, empty_end);
  // Without x1 an answer is one frame.
  if (!s->rx_open || !s->owns(f) || (!s->ext && !end))
    return reject_stream(*s, reason::state_stream);
  if (s->ext) {
    auto why = empty_end ? s->rx.on_empty_end(d.seq) : s->rx.on_data(d.seq);
    if (why != reason::none)
      return reject_stream(*s, why);
    if (!empty_end && !rx_share.take() && !settings.independent_streams)
      return reject_connection(reason::inflight);
  }
  auto why = s->rx_obj.on_frame(!d.bytes.empty(), f.has(flag::event), d.obj);
  if (why != reason::none)
    return reject_stream(*s, why);
  if (s->ext && !empty_end)
    note_received(*s, f.has(flag::ack_req));
  if (!empty_end) {
    auto& e = std::get<data>(evs.emplace_back(data{.corr = s->corr,
                                                   .seq = d.seq,
                                                   .bytes = part(from, d.bytes),
                                                   .status = f.status(),
                                                   .push = f.has(flag::event),
                                                   .end = end,
                                                   .app_e2e = f.has(flag::app_e2e),
                                                   .raw_len = d.raw_len}));
    if (d.obj)
      std::memcpy(e.obj.emplace().hash.data(), d.obj, ext_obj_bytes);
    if (d.has_total)
      e.total = d.total;
  }
  if (end)
    on_rx_end(*s, f.status());
}

void session::impl::on_rx_end(stream& s, std::uint16_t status) {
  s.rx_open = false;
  --rx_halves;
  with_rx(s, [](receive_credit& rx) { rx.close(); });
  evs.push_back(ended{s.corr, status, !s.tx_open});
  if (s.tx_open) {
    if (s.rx.unacked() != 0)
      due.push_back(s);
    return;
  }
  // Nobody is left to read an ACK: the end of the stream gives the shares back.
  forget(s);
  finish_if_drained();
}

void session::impl::on_late(const frame_view& f, bool empty_end) {
  auto* e = errs.find(f.corr());
  if (!e)
    return reject_closed(f, reason::state_stream);
  if (empty_end && e->end_left)
    e->end_left = false;
  else if (e->frames_left != 0)
    --e->frames_left;
  else
    return reject_connection(reason::inflight);
  ++cnt.late_frames;
}

void session::impl::reject_closed(const frame_view& f, reason why) {
  if (never_opened(f.corr())) // there is no stream to answer on
    return reject_connection(why);
  count(why, f.corr());
  if (errs.find(f.corr()) || peer_errs.find(f.corr()))
    return;
  write_stream_error(f.corr(), f.app(), f.tenant(), lim.x1, why, 0, reject_text(why), 0);
  errs.remember({.corr = f.corr(), .frames_left = lim.ack_window});
}

// -- ACK and ERROR -------------------------------------------------------------------

void session::impl::on_ack(const frame_view& f) {
  auto* s = streams.find(f.corr());
  const auto a = read_ack(f);
  if (!s) {
    if (!never_opened(f.corr()))
      return;
    const bool may_overtake = settings.independent_streams && role == role::acceptor;
    if (!may_overtake || !unopened.keep({f.corr(), a.up_to, a.window}))
      reject_connection(reason::ack_unopened);
    return;
  }
  if (s->ext)
    take_ack(*s, a.up_to, a.window);
}

void session::impl::take_ack(stream& s, std::uint64_t up_to, std::uint32_t window) {
  std::uint32_t freed = 0;
  if (auto why = s.tx.on_ack(up_to, window, freed); why != reason::none)
    return reject_stream(s, why);
  tx_share.give_back(freed);
  wake(s);
}

void session::impl::on_stream_error(const frame_view& f, const core::bytes& from) {
  auto* s = streams.find(f.corr());
  if (!s) {
    if (never_opened(f.corr()))
      return reject_connection(reason::state_conn);
    auto* e = errs.find(f.corr());
    if (e && !std::exchange(e->error_left, false))
      return reject_connection(reason::inflight);
    return; // it crossed the end of the stream
  }
  if (!s->owns(f))
    return reject_stream(*s, reason::state_stream);
  auto e = read_error(f);
  auto message = part(from, e.message);
  if (!f.ext()) {
    auto j = parse_error_json(e.message);
    message = core::bytes::copy(j.message);
    e.has_retry_after = j.retry_after_ms != 0;
    e.retry_after_ms = j.retry_after_ms;
  }
  peer_errs.remember({.corr = f.corr()});
  evs.push_back(stream_error{.corr = f.corr(),
                             .status = f.status(),
                             .why = e.why,
                             .retry_after = e.has_retry_after,
                             .retry_after_ms = e.retry_after_ms,
                             .cancelled = role == role::acceptor || e.why == reason::cancelled,
                             .local = false,
                             .last_seq = e.last_seq,
                             .message = std::move(message)});
  forget(*s);
  finish_if_drained();
}

void session::impl::on_connection_error(const frame_view& f, const core::bytes& from) {
  auto e = read_error(f);
  if (f.ext() && e.why == reason::drain && f.status() == status_of(reason::drain))
    return on_drain(e);
  auto message = part(from, e.message);
  if (!f.ext()) {
    auto j = parse_error_json(e.message);
    message = core::bytes::copy(j.message);
    e.retry_after_ms = j.retry_after_ms;
  }
  finish(e.why, false, f.status(), std::move(message), e.retry_after_ms);
}

void session::impl::on_drain(const error_fields& e) {
  if (std::exchange(peer_drains, true))
    return;
  evs.push_back(draining{e.last_seq, e.retry_after_ms});
  if (role == role::dialer) {
    // The peer never accepted these; it answers each START with an ERROR that may not come.
    for (stream *s = open_list.front(), *after = nullptr; s; s = after) {
      after = open_list.next(*s);
      if (s->corr <= e.last_seq)
        continue;
      peer_errs.remember({.corr = s->corr});
      evs.push_back(stream_error{.corr = s->corr,
                                 .status = status_of(reason::drain),
                                 .why = reason::drain,
                                 .retry_after = e.has_retry_after,
                                 .retry_after_ms = e.retry_after_ms,
                                 .message = core::bytes::literal("drain")});
      forget(*s);
    }
  }
  finish_if_drained();
}

} // namespace ron::oap
