#include "oap/session.hpp"

#include "oap/session_impl.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace ron::oap {

namespace {

namespace lim_ = core::limits;

session_settings clipped(session_settings s) {
  s.max_frame = std::clamp(s.max_frame, lim_::oap_frame_bytes_default, lim_::oap_frame_bytes_law);
  s.max_streams = std::clamp(s.max_streams, lim_::oap_streams_floor, lim_::oap_streams_max);
  s.max_inflight
    = std::clamp(s.max_inflight, lim_::oap_inflight_default, lim_::oap_inflight_max);
  s.ack_window = std::clamp(s.ack_window, lim_::oap_ack_window_default, lim_::oap_ack_window_max);
  s.output_bytes_max = std::max<std::size_t>(s.output_bytes_max, 1);
  return s;
}

} // namespace

// -- life cycle --------------------------------------------------------------------

session::impl::impl(oap::role r, session_settings s)
  : role(r), settings(clipped(std::move(s))), lim(floors(settings.alpn)) {
  ours.ua = settings.ua;
  ours.max_frame = settings.max_frame;
  ours.max_inflight = settings.max_inflight;
  ours.max_streams = settings.max_streams;
  ours.ack_window = settings.ack_window;
  ours.transports = settings.transports;
  ours.features = settings.features;
  ours.pq = settings.pq;
  adopt(lim);
  rlim.max_frame = lim_::oap_hello_frame_bytes_max;
  rlim.zstd = true; // what COMP means is not agreed yet; any stream frame is out of place
  out.set_block_max(settings.write_coalesce);
  out.hello(role == role::dialer, build_hello(ours));
}

void session::impl::adopt(const agreement& a) {
  lim = a;
  rlim.max_frame = a.max_frame;
  rlim.x1 = a.x1;
  rlim.zstd = a.zstd;
  tx_share.set_max(a.max_inflight);
  rx_share.set_max(a.max_inflight);
  budget_frames = std::max<std::uint64_t>(1, settings.receive_budget / a.max_frame);
}

void session::impl::forget(stream& s) {
  tx_share.give_back(s.tx.unacked());
  rx_share.give_back(s.rx.unacked());
  committed -= s.rx.committed();
  if (s.rx_open)
    --rx_halves;
  if (s.waits != wait_for::nothing)
    --waiting;
  open_list.remove(s);
  due.remove(s);
  unacked.remove(s);
  line.remove(s);
  streams.close(s);
}

void session::impl::error_out(stream& s, reason why, std::string_view message,
                              std::uint32_t retry_after_ms, bool report) {
  write_stream_error(s.corr, s.app, s.tenant, s.ext, why, s.rx.received(), message,
                     retry_after_ms);
  errs.remember({.corr = s.corr,
                 .frames_left = s.rx_open ? s.rx.in_flight_max() : 0});
  if (report)
    evs.push_back(stream_error{.corr = s.corr,
                               .status = status_of(why),
                               .why = why,
                               .local = true,
                               .last_seq = s.rx.received(),
                               .message = core::bytes::literal(to_string(why))});
  forget(s);
  finish_if_drained();
}

void session::impl::count(reason why, corr_t corr) {
  ++cnt.rejects[static_cast<std::size_t>(info(why).bucket)];
  if (notes.size() < reject_notes_max)
    notes.push_back({why, corr, frame_at, frame_length});
  frame_length = 0;
}

void session::impl::reject_stream(stream& s, reason why) {
  count(why, s.corr);
  error_out(s, why, reject_text(why), 0, true);
}

void session::impl::reject_connection(reason why) {
  count(why, 0);
  write_connection_error(why, last_accepted, reject_text(why), 0);
  finish(why, true, status_of(why), core::bytes::literal(reject_text(why)));
}

void session::impl::finish(reason why, bool local, std::uint16_t status, core::bytes message,
                           std::uint32_t retry_after_ms) {
  if (over)
    return;
  over = true;
  while (auto* s = open_list.front()) {
    evs.push_back(stream_error{.corr = s->corr,
                               .status = status,
                               .why = why,
                               .retry_after = retry_after_ms != 0,
                               .retry_after_ms = retry_after_ms,
                               .local = local,
                               .message = message});
    forget(*s);
  }
  evs.push_back(closed{why, status, local, retry_after_ms, std::move(message)});
  ack_all = false;
  tail = {};
  joined = core::slab{};
  want = 0;
}

std::size_t session::impl::output_stop() const noexcept {
  // Above all that an honest connection can have queued: DATA stops at output_bytes_max, and each
  // stream has at most an END and an ERROR. Otherwise two sides that both wait for the other to
  // read would wait for ever.
  return 2 * settings.output_bytes_max + lim.max_frame + std::size_t{128} * lim.max_streams;
}

void session::impl::finish_if_drained() {
  if (!over && (we_drain || peer_drains) && streams.size() == 0)
    finish(reason::none, we_drain, 0);
}

// -- public face -------------------------------------------------------------------

session::session(oap::role role, session_settings settings)
  : impl_(std::make_unique<impl>(role, std::move(settings))) {
  // nop
}

session::~session() = default;
session::session(session&&) noexcept = default;
session& session::operator=(session&&) noexcept = default;

void session::on_bytes(core::bytes slice, core::instant now) {
  impl_->on_bytes(std::move(slice), now);
}

void session::on_eof(bool clean) {
  impl_->on_eof(clean);
}

bool session::take(std::vector<core::bytes>& out) {
  impl_->flush_acks();
  auto n = impl_->out.pending_bytes();
  impl_->cnt.bytes_out += n;
  return impl_->out.take(out);
}

std::size_t session::pending_bytes() const noexcept {
  auto acks = impl_->ack_all ? impl_->unacked.size() : impl_->due.size();
  return impl_->out.pending_bytes() + acks * ack_bytes;
}

bool session::wants_read() const noexcept {
  return !impl_->over && impl_->out.pending_bytes() < impl_->output_stop();
}

bool session::finished() const noexcept {
  return impl_->over;
}

std::size_t session::partial_bytes() const noexcept {
  return impl_->partial_bytes();
}

std::size_t session::missing_bytes() const noexcept {
  const auto held = impl_->partial_bytes();
  return held > 0 && impl_->want > header_bytes ? impl_->want - held : 0;
}

std::size_t session::staging_bytes() const noexcept {
  return impl_->tail.held_bytes() + (impl_->joined.filled() > 0 ? impl_->joined.capacity() : 0);
}

bool session::take_rejects(reject_notes& out) {
  out.clear();
  out.swap(impl_->notes);
  return !out.empty();
}

bool session::take_events(events& out) {
  impl_->give_turns();
  out.clear();
  out.swap(impl_->evs);
  return !out.empty();
}

core::result<corr_t> session::open(const open_request& r) {
  return impl_->open(r);
}

send_status session::send(corr_t corr, const core::bytes& chunk, const send_options& o) {
  auto* s = impl_->streams.find(corr);
  return s ? impl_->send(*s, chunk, o) : send_status::no_stream;
}

std::uint32_t session::ask_room(corr_t corr) {
  auto* s = impl_->streams.find(corr);
  return s && s->ext ? impl_->ask_room(*s) : 0;
}

bool session::can_send(corr_t corr) const noexcept {
  const auto* s = impl_->streams.find(corr);
  return s && s->tx_open && (!s->ext || impl_->obstacle_of(*s) == impl::obstacle::none);
}

std::size_t session::chunk_max() const noexcept {
  return impl_->lim.max_frame - data_overhead_max;
}

bool session::end(corr_t corr, std::uint16_t status) {
  auto* s = impl_->streams.find(corr);
  return s && impl_->end(*s, status);
}

void session::consumed(corr_t corr, std::uint32_t n) {
  auto* s = impl_->streams.find(corr);
  if (!s || !s->ext)
    return;
  impl_->with_rx(*s, [n](receive_credit& rx) { rx.on_consumed(n); });
  impl_->note_granted(*s);
}

void session::pause(corr_t corr) {
  auto* s = impl_->streams.find(corr);
  if (!s || s->paused)
    return;
  s->paused = true;
  if (s->ext && s->rx_open)
    impl_->due.push_back(*s);
}

void session::resume(corr_t corr) {
  auto* s = impl_->streams.find(corr);
  if (!s || !s->paused)
    return;
  s->paused = false;
  impl_->note_granted(*s);
}

bool session::fail(corr_t corr, const core::error& why) {
  auto* s = impl_->streams.find(corr);
  if (!s)
    return false;
  auto code = why.code == core::ec::none ? core::ec::internal : why.code;
  impl_->error_out(*s, static_cast<reason>(core::info(code).oap_reason), why.message,
                   why.retry_after_ms, false);
  return true;
}

bool session::cancel(corr_t corr) {
  auto* s = impl_->streams.find(corr);
  if (!s)
    return false;
  impl_->error_out(*s, reason::cancelled, {}, 0, false);
  return true;
}

void session::breach(corr_t corr, reason why) {
  auto* s = impl_->streams.find(corr);
  if (!s || !is_reject(why))
    return;
  impl_->frame_at = 0; // it was read long ago
  impl_->reject_stream(*s, why);
}

bool session::is_open(corr_t corr) const noexcept {
  return impl_->streams.find(corr) != nullptr;
}

void session::drain(std::uint32_t retry_after_ms) {
  if (impl_->over || impl_->we_drain)
    return;
  impl_->we_drain = true;
  impl_->write_connection_error(reason::drain, impl_->last_accepted, "drain", retry_after_ms);
  impl_->finish_if_drained();
}

void session::close_with(reason why, std::string_view message, std::uint32_t retry_after_ms) {
  if (impl_->over)
    return;
  if (is_reject(why))
    impl_->count(why, 0);
  impl_->write_connection_error(why, impl_->last_accepted, message, retry_after_ms);
  impl_->finish(why, true, status_of(why), core::bytes::copy(message), retry_after_ms);
}

oap::role session::role() const noexcept {
  return impl_->role;
}
const agreement& session::limits() const noexcept {
  return impl_->lim;
}
bool session::hello_received() const noexcept {
  return impl_->hello_in;
}
bool session::is_draining() const noexcept {
  return impl_->we_drain || impl_->peer_drains;
}
bool session::is_closed() const noexcept {
  return impl_->over;
}
std::size_t session::open_streams() const noexcept {
  return impl_->streams.size();
}
std::size_t session::waiting_streams() const noexcept {
  return impl_->waiting;
}
std::uint32_t session::inflight() const noexcept {
  return impl_->tx_share.used();
}
std::uint64_t session::committed_frames() const noexcept {
  return impl_->committed;
}
const oap::counters& session::counters() const noexcept {
  impl_->cnt.frames_out = impl_->out.frames();
  return impl_->cnt;
}

std::size_t session::memory_bytes() const noexcept {
  return sizeof(impl) + impl_->tail.size() + impl_->joined.capacity() + impl_->out.memory_bytes()
         + impl_->streams.memory_bytes() + impl_->errs.memory_bytes()
         + impl_->peer_errs.memory_bytes() + impl_->unopened.memory_bytes()
         + impl_->evs.capacity() * sizeof(event);
}

void session::trim() noexcept {
  impl_->out.trim();
  impl_->streams.trim();
  if (impl_->evs.empty())
    impl_->evs = events(0);
  if (impl_->joined.filled() == 0)
    impl_->joined = core::slab{};
}

} // namespace ron::oap
