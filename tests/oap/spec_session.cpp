// size: one connection from end to end, to be read beside the text of the protocol
#include "oap/spec_session.hpp"

#include <algorithm>
#include <sstream>

namespace ron::oap::spec {

namespace {

constexpr std::uint64_t req = 1, resp = 2, event = 4, end_flag = 16, ack_req = 32, comp = 64,
                        app_e2e = 128;
constexpr std::uint64_t last_seq_number = ~std::uint64_t{0};
enum : std::uint64_t {
  bad_hello = 3,
  inflight = 10,
  truncated = 11,
  state_conn = 12,
  state_stream = 13,
  dup_seq = 14,
  seq_gap = 15,
  window_overrun = 16,
  ack_rollback = 17,
  ack_overshoot = 18,
  missing_obj = 19,
  obj_form = 20,
  ack_unopened = 23,
  stream_limit = 0x112,
  cancelled = 0x1f0,
  drain_reason = 0x1f1
};

template <class... T>
std::string line(const T&... parts) {
  std::ostringstream out;
  const char* gap = "";
  ((out << gap << parts, gap = " "), ...);
  return out.str();
}

std::uint64_t clip(std::uint64_t a, std::uint64_t b) {
  return b > last_seq_number - a ? last_seq_number : a + b;
}

bool zero(const octets& v) {
  return std::ranges::all_of(v, [](auto x) { return x == 0; });
}

bool owns(const stream& s, const frame& f) {
  return f.app == s.app && (f.tenant == s.tenant || zero(f.tenant));
}

std::uint64_t sum(const octets& v) {
  std::uint64_t n = v.size();
  for (auto x : v)
    n = n * 31 + x;
  return n;
}

template <class Half>
std::uint64_t object_breach(Half& h, bool has_bytes, bool push, const std::optional<octets>& obj) {
  if (obj) {
    if (!h.objects || (h.object && *h.object != *obj))
      return obj_form;
    h.object = obj;
    return 0;
  }
  if (!h.objects || h.object || !has_bytes || push)
    return 0;
  if (!h.result_first)
    return missing_obj;
  h.result_first = false;
  return 0;
}

} // namespace

session::session(session_settings s) : set(std::move(s)) {
  lim.x1 = set.alpn;
}

std::uint64_t session::unacked_in() const {
  std::uint64_t n = 0;
  for (const auto& [corr, s] : streams)
    n += s.in.r - s.in.acked;
  return n;
}
std::uint64_t session::unacked_out() const {
  std::uint64_t n = 0;
  for (const auto& [corr, s] : streams)
    n += s.out.s - s.out.a;
  return n;
}
std::uint64_t session::most_streams() const {
  return lim.x1 ? lim.max_streams : std::min(lim.max_streams, lim.max_inflight);
}

// -- input ---------------------------------------------------------------------------

void session::on_bytes(const octets& in) {
  rest.insert(rest.end(), in.begin(), in.end());
  while (!over && !rest.empty()) {
    limits l{.max_frame = hello_in ? lim.max_frame : 16'422,
             .x1 = lim.x1,
             .zstd = !hello_in || lim.zstd};
    auto v = read(rest, l);
    if (v.is == verdict::need_more)
      return;
    auto reason = static_cast<std::uint64_t>(v.reason);
    if (v.is == verdict::good)
      on_frame(v.f);
    else if (ends_connection(reason))
      reject_connection(reason);
    else if (streams.contains(v.f.corr))
      reject_stream(v.f.corr, reason);
    else
      reject_closed(v.f, reason);
    end_if_drained();
    if (!over)
      rest.erase(rest.begin(), rest.begin() + static_cast<std::ptrdiff_t>(v.f.len));
  }
  rest.clear();
}

void session::on_eof() {
  if (over)
    return;
  if (rest.empty() && streams.empty())
    return finish(0, false, 0);
  count(truncated);
  finish(truncated, true, status_of(truncated));
}

void session::on_frame(const frame& f) {
  if (f.kind == kind::hello)
    return on_hello(f);
  bool from_dialer = f.has(req);
  bool either_way = f.kind == kind::ack || f.kind == kind::error;
  if (!hello_in || (!either_way && from_dialer == set.dialer))
    return reject_connection(state_conn);
  switch (f.kind) {
  case kind::hello:
    return;
  case kind::start:
    return on_start(f);
  case kind::data:
  case kind::end:
    return on_data(f);
  case kind::ack:
    return on_ack(f);
  case kind::error:
    return f.app == 0 ? on_connection_error(f) : on_stream_error(f);
  }
}

void session::on_hello(const frame& f) {
  auto theirs = set.parse_hello(f.body);
  if (!theirs)
    return reject_connection(bad_hello);
  if (hello_in || f.has(req) == set.dialer)
    return reject_connection(state_conn);
  hello_in = true;
  const auto& o = set.ours;
  lim.max_frame = std::min({o.max_frame, theirs->max_frame, std::uint64_t{1'048'576}});
  lim.max_inflight = std::min({o.max_inflight, theirs->max_inflight, std::uint64_t{1'024}});
  lim.max_streams = std::min({o.max_streams, theirs->max_streams, std::uint64_t{65'536}});
  lim.ack_window = std::min({o.ack_window, theirs->ack_window, std::uint64_t{1'024}});
  lim.x1 = set.alpn || (o.x1 && theirs->x1);
  lim.zstd = o.zstd && theirs->zstd;
  for (auto& [corr, s] : streams) // opened on the floors
    s.out.w = std::max(s.out.w, lim.ack_window);
  events.push_back(line("hello", lim.max_frame, lim.max_inflight, lim.max_streams, lim.ack_window,
                        lim.x1, lim.zstd, theirs->pq));
}

void session::on_start(const frame& f) {
  if (f.corr <= last_corr) {
    if (streams.contains(f.corr))
      return reject_stream(f.corr, state_stream);
    return reject_closed(f, state_stream);
  }
  last_corr = f.corr;
  if (!lim.x1 && !f.has(end_flag))
    return reject_closed(f, state_stream);
  if (f.seq_start == last_seq_number)
    return reject_closed(f, seq_gap);
  std::uint64_t refusal = we_drain ? std::uint64_t{drain_reason}
                          : streams.size() >= most_streams() || opened_lately >= 2 * lim.max_streams
                              ? std::uint64_t{stream_limit}
                              : 0;
  if (refusal) {
    write_error(f.corr, f.app, status_of(refusal), refusal, f.seq_start, lim.x1);
    return remember_ours(f.corr, {.frames = f.has(end_flag) ? 0 : lim.ack_window});
  }
  ++opened_lately;
  last_accepted = f.corr;
  bool closed = f.has(end_flag);
  auto& s = streams[f.corr];
  s.app = f.app;
  s.tenant = f.tenant;
  s.in = {.open = !closed,
          .r = f.seq_start,
          .acked = f.seq_start,
          .g = clip(f.seq_start, closed ? 0 : lim.ack_window),
          .window = lim.ack_window,
          .objects = f.objects};
  s.out = {.open = true,
           .w = f.window ? f.window : lim.ack_window,
           .objects = f.reply_objects,
           .result_first = f.reply_objects};
  events.push_back(line("opened", f.corr, f.app, sum(f.tenant), f.objects, f.reply_objects, closed,
                        f.has(app_e2e), sum(f.name), sum(f.cap), sum(f.args)));
}

void session::on_data(const frame& f) {
  auto it = streams.find(f.corr);
  bool empty_end = f.kind == kind::end && f.bytes.empty();
  if (it == streams.end()) {
    if (f.corr > last_corr)
      return reject_connection(state_conn);
    auto late = ours_ended.find(f.corr);
    if (late == ours_ended.end())
      return reject_closed(f, state_stream);
    if (empty_end && late->second.end)
      late->second.end = false;
    else if (late->second.frames != 0)
      --late->second.frames;
    else
      reject_connection(inflight);
    return;
  }
  auto& s = it->second;
  if (!s.in.open || !owns(s, f) || (!lim.x1 && f.kind == kind::data))
    return reject_stream(f.corr, state_stream);
  if (lim.x1 && empty_end && f.seq != s.in.r)
    return reject_stream(f.corr, seq_gap);
  if (lim.x1 && !empty_end) {
    if (f.seq != last_seq_number && f.seq <= s.in.r)
      return reject_stream(f.corr, dup_seq);
    if (f.seq == last_seq_number || f.seq != s.in.r + 1)
      return reject_stream(f.corr, seq_gap);
    if (f.seq > s.in.g)
      return reject_stream(f.corr, window_overrun);
    if (unacked_in() >= lim.max_inflight)
      return reject_connection(inflight);
    s.in.r = f.seq;
  }
  if (auto why = object_breach(s.in, !f.bytes.empty(), f.has(event), f.obj))
    return reject_stream(f.corr, why);
  if (f.has(ack_req) && !empty_end)
    s.ack_now = true;
  bool end = f.kind == kind::end;
  if (!empty_end)
    events.push_back(line("data", f.corr, f.seq, sum(f.bytes), f.status, f.has(event), end,
                          f.has(app_e2e), f.raw_len, f.obj ? sum(*f.obj) : 0,
                          f.total ? line(*f.total) : "-"));
  if (!end)
    return;
  events.push_back(line("ended", f.corr, f.status, !s.out.open));
  s.in.open = false;
  s.ack_now = true;
  if (!s.out.open)
    drop(f.corr);
}

void session::on_ack(const frame& f) {
  auto it = streams.find(f.corr);
  if (it == streams.end())
    return f.corr > last_corr ? reject_connection(ack_unopened) : void();
  if (!lim.x1)
    return;
  auto& out = it->second.out;
  if (f.up_to < out.a)
    return reject_stream(f.corr, ack_rollback);
  if (f.up_to > out.s)
    return reject_stream(f.corr, ack_overshoot);
  out.a = f.up_to;
  out.w = f.window;
}

void session::on_stream_error(const frame& f) {
  auto it = streams.find(f.corr);
  if (it == streams.end()) {
    if (f.corr > last_corr)
      return reject_connection(state_conn);
    auto late = ours_ended.find(f.corr);
    if (late == ours_ended.end())
      return;
    if (!late->second.error)
      return reject_connection(inflight);
    late->second.error = false;
    return;
  }
  if (!owns(it->second, f))
    return reject_stream(f.corr, state_stream);
  events.push_back(line("error", f.corr, f.status, f.reason, false, f.last_seq));
  remember_peers(f.corr);
  drop(f.corr);
}

void session::on_connection_error(const frame& f) {
  if (f.reason != drain_reason || f.status != 503)
    return finish(f.reason, false, f.status);
  if (peer_drains)
    return;
  peer_drains = true;
  events.push_back(line("draining", f.last_seq));
  if (!set.dialer)
    return;
  for (auto it = streams.upper_bound(f.last_seq); it != streams.end(); it = streams.erase(it)) {
    events.push_back(line("error", it->first, 503, drain_reason + 0, false, 0));
    remember_peers(it->first);
  }
}

// -- ends ----------------------------------------------------------------------------

void session::count(std::uint64_t reason) {
  ++rejects[bucket_of(reason)];
  ++reasons[reason];
}

void session::reject_connection(std::uint64_t reason) {
  count(reason);
  write_error(0, 0, status_of(reason), reason, last_accepted, lim.x1 || !hello_in);
  finish(reason, true, status_of(reason));
}

void session::reject_stream(std::uint64_t corr, std::uint64_t reason) {
  count(reason);
  auto r = streams.at(corr).in.r;
  fail(corr, reason);
  events.push_back(line("error", corr, status_of(reason), reason, true, r));
}

void session::reject_closed(const frame& f, std::uint64_t reason) {
  if (f.corr > last_corr)
    return reject_connection(reason);
  count(reason);
  if (ours_ended.contains(f.corr) || peer_ended.contains(f.corr))
    return;
  write_error(f.corr, f.app, status_of(reason), reason, 0, lim.x1);
  remember_ours(f.corr, {.frames = lim.ack_window});
}

void session::finish(std::uint64_t reason, bool local, std::uint64_t status) {
  over = true;
  for (const auto& [corr, s] : streams)
    events.push_back(line("error", corr, status, reason, local, 0));
  streams.clear();
  events.push_back(line("closed", reason, status, local));
}

void session::end_if_drained() {
  if (!over && (we_drain || peer_drains) && streams.empty())
    finish(0, we_drain, 0);
}

void session::remember_ours(std::uint64_t corr, allowance a) {
  if (!ours_ended.contains(corr)) {
    ours_order.push_back(corr);
    if (ours_order.size() > 1'024) {
      ours_ended.erase(ours_order.front());
      ours_order.pop_front();
    }
  }
  ours_ended[corr] = a;
}
void session::remember_peers(std::uint64_t corr) {
  peer_ended[corr] = true;
  peer_order.push_back(corr);
  if (peer_order.size() > 1'024) {
    peer_ended.erase(peer_order.front());
    peer_order.pop_front();
  }
}

// -- the owner -----------------------------------------------------------------------

bool session::may_open() const {
  return set.dialer && !over && !we_drain && !peer_drains && (lim.x1 || hello_in)
         && streams.size() < most_streams();
}

std::uint64_t session::open(std::uint64_t app, const octets& tenant, std::uint64_t window,
                            std::uint64_t seq_start, bool objects, bool reply_objects, bool end,
                            const std::string& name) {
  auto corr = ++last_corr;
  auto granted = window ? window : lim.ack_window;
  auto& s = streams[corr];
  s.app = app;
  s.tenant = tenant;
  s.in = {.open = true,
          .g = lim.x1 ? granted : 0,
          .window = granted,
          .objects = reply_objects,
          .result_first = reply_objects};
  s.out = {.open = !end, .s = seq_start, .a = seq_start, .w = lim.ack_window, .objects = objects};
  output.push_back(line("START", corr, app, 9 + (end ? end_flag : 0), lim.x1 ? granted : 0,
                        lim.x1 ? seq_start : 0, name));
  return corr;
}

auto session::may_send(std::uint64_t corr, const chunk& c) const -> may {
  auto it = streams.find(corr);
  if (it == streams.end() || !it->second.out.open)
    return may::no_stream;
  if (c.size + 94 > lim.max_frame || (c.push && (set.dialer || c.end)) || c.status >= 400
      || c.raw_len > 8'388'608 || (c.raw_len && !lim.zstd))
    return may::refuse;
  if (!lim.x1)
    return set.dialer || !c.end || c.obj || c.raw_len ? may::refuse : may::send;
  if (c.size == 0 && c.end)
    return may::send;
  auto out = it->second.out;
  if (out.s + 1 == last_seq_number || out.s + 1 > clip(out.a, out.w)
      || unacked_out() >= lim.max_inflight)
    return may::wait;
  return object_breach(out, c.size != 0, c.push, c.obj) ? may::refuse : may::send;
}

void session::send(std::uint64_t corr, const chunk& c) {
  auto& s = streams.at(corr);
  bool bytes = c.size != 0 || !c.end;
  if (lim.x1 && bytes) {
    object_breach(s.out, c.size != 0, c.push, c.obj);
    ++s.out.s;
  }
  auto flags = (set.dialer ? req
                : c.push   ? event
                           : resp)
               | (c.end ? end_flag : 0)
               | (lim.x1 && bytes ? (c.ack_req ? ack_req : 0) | (c.raw_len ? comp : 0) : 0);
  write_data(c.end ? "END" : "DATA", corr, flags, lim.x1 ? s.out.s : 0, c.size);
  if (!c.end)
    return;
  s.out.open = false;
  if (!s.in.open)
    drop(corr);
  end_if_drained();
}

bool session::end(std::uint64_t corr, std::uint64_t status) {
  auto it = streams.find(corr);
  if (it == streams.end() || !it->second.out.open || status >= 400)
    return false;
  send(corr, {.end = true, .status = status});
  return true;
}

bool session::fail(std::uint64_t corr, std::uint64_t reason) {
  auto it = streams.find(corr);
  if (it == streams.end())
    return false;
  const auto& s = it->second;
  write_error(corr, s.app, status_of(reason), reason, s.in.r, lim.x1);
  remember_ours(corr, {.frames = s.in.open ? s.in.g - s.in.r : 0});
  drop(corr);
  return true;
}

void session::breach(std::uint64_t corr, std::uint64_t reason) {
  if (streams.contains(corr))
    reject_stream(corr, reason);
  end_if_drained();
}

void session::drain() {
  if (over || we_drain)
    return;
  we_drain = true;
  write_error(0, 0, 503, drain_reason, last_accepted, lim.x1 || !hello_in);
  end_if_drained();
}

void session::close_with(std::uint64_t reason) {
  if (over)
    return;
  write_error(0, 0, status_of(reason), reason, last_accepted, lim.x1 || !hello_in);
  finish(reason, true, status_of(reason));
}

// -- output --------------------------------------------------------------------------

void session::write_error(std::uint64_t corr, std::uint64_t app, std::uint64_t status,
                          std::uint64_t reason, std::uint64_t last_seq, bool x) {
  output.push_back(x ? line("ERROR", corr, app, status, reason, last_seq)
                     : line("ERROR", corr, app, status, "without-x"));
}

void session::write_data(const char* kind, std::uint64_t corr, std::uint64_t flags,
                         std::uint64_t seq, std::size_t size) {
  output.push_back(line(kind, corr, streams.at(corr).app, flags, seq, size));
}

std::string line_of(const frame& f) {
  switch (f.kind) {
  case kind::start:
    return line("START", f.corr, f.app, f.flags, f.window, f.seq_start,
                std::string{f.name.begin(), f.name.end()});
  case kind::data:
    return line("DATA", f.corr, f.app, f.flags, f.seq, f.bytes.size());
  case kind::end:
    return line("END", f.corr, f.app, f.flags, f.seq, f.bytes.size());
  case kind::error:
    return f.x ? line("ERROR", f.corr, f.app, f.status, f.reason, f.last_seq)
               : line("ERROR", f.corr, f.app, f.status, "without-x");
  case kind::hello:
    return "HELLO";
  case kind::ack:
    break;
  }
  return line("ACK", f.corr, f.up_to, f.window);
}

std::string session::on_written(const frame& f) {
  auto got = line_of(f);
  if (f.kind != kind::ack) {
    if (output.empty() || output.front() != got)
      return "wrote [" + got + "] instead of [" + (output.empty() ? "nothing" : output.front())
             + "]";
    output.pop_front();
    return "";
  }
  auto it = streams.find(f.corr);
  if (it == streams.end()) // overtaken by the end of its stream in the same flush
    return f.corr > last_corr || !lim.x1 ? "acknowledges what was never opened: " + got : "";
  auto& in = it->second.in;
  if (f.up_to < in.acked || f.up_to > in.r)
    return "up_to goes back or past what arrived: " + got;
  in.acked = f.up_to;
  in.window = f.window;
  in.g = std::max(in.g, clip(f.up_to, f.window));
  it->second.ack_now = false;
  return "";
}

std::string session::after_flush() const {
  if (!output.empty())
    return "did not write [" + output.front() + "]";
  if (!lim.x1)
    return "";
  for (const auto& [corr, s] : streams) {
    auto unacked = s.in.r - s.in.acked;
    if (s.ack_now && unacked != 0)
      return line("END or ACK_REQ of", corr, "not acknowledged");
    if (s.in.open && unacked != 0 && unacked >= std::max<std::uint64_t>(1, s.in.window / 2))
      return line("half a window of", corr, "not acknowledged");
  }
  return unacked_in() >= lim.max_inflight / 2 ? "half of max_inflight not acknowledged" : "";
}

} // namespace ron::oap::spec
