#include "transport/oap_exchange.hpp"

#include "core/json.hpp"
#include "oap/frame.hpp"
#include "transport/oap_inflate.hpp"

#include <algorithm>

namespace ron::transport {

using core::ec;
using core::error;

namespace {

/// What fits into the one frame that carries a result map, with every optional part beside it.
constexpr std::size_t map_bytes_max
  = core::limits::oap_frame_bytes_default - oap::data_overhead_max;
constexpr std::uint16_t status_error_min = oap::status_error_min;

} // namespace

oap_exchange::~oap_exchange() {
  if (!over_ && !cancelled_)
    fail({ec::internal, "the operation gave no answer"});
}

// -- body --------------------------------------------------------------------------

void oap_exchange::read_body(body_handler then) {
  if (over_ || cancelled_)
    return;
  wants_body_ = std::move(then);
  body_since_ = self_->home().turn_time();
  hand_out_body();
}

void oap_exchange::body(body_frame f) {
  if (f.data.empty() && f.raw_len == 0) {
    ended_ = ended_ || f.last;
    return hand_out_body();
  }
  if (wants_body_ && body_.empty() && f.raw_len == 0) // who waits for it gets it as it comes
    return give(std::move(f));
  stage(f);
  body_.push_back(std::move(f));
  hand_out_body();
}

void oap_exchange::give(body_frame f) {
  if (!f.data.empty() && !f.piece)
    emit_consumed(self_, 1);
  std::exchange(wants_body_, nullptr)(body_chunk{std::move(f.data), f.last});
}

void oap_exchange::hand_out_body() {
  if (!wants_body_)
    return;
  if (body_.empty())
    return std::exchange(ended_, false) ? give({.last = true}) : void();
  if (body_.front().raw_len != 0 && !inflate_front())
    return;
  auto f = std::move(body_.front());
  body_.pop_front();
  unstage(f);
  give(std::move(f));
}

/// False if the frame is not what it says: then the stream is over, and so may this exchange be.
bool oap_exchange::inflate_front() {
  const auto packed = std::move(body_.front());
  body_.pop_front();
  unstage(packed);
  auto raw = inflate_frame(packed.data.view(), packed.raw_len, limits().inflate);
  if (!raw) {
    emit(self_, send_breach{raw.error()});
    cancel();
    return false;
  }
  bool more = false;
  while (!raw->empty()) {
    body_.push_front({.data = std::move(raw->back()), .piece = more});
    stage(body_.front());
    raw->pop_back();
    more = true;
  }
  return true;
}

/// What waits in the line is in the gauge of staged bytes.
void oap_exchange::stage(const body_frame& f) noexcept {
  self_->state.service->wire().staging_bytes.add_n(static_cast<std::int64_t>(f.data.size()));
}

void oap_exchange::unstage(const body_frame& f) noexcept {
  self_->state.service->wire().staging_bytes.add_n(-static_cast<std::int64_t>(f.data.size()));
}

// -- answer ------------------------------------------------------------------------

void oap_exchange::reply(answer a) {
  if (over_ || cancelled_)
    return;
  if (a.status >= status_error_min)
    return fail({ec::bad_request, "status " + std::to_string(a.status)});
  auto map = std::move(a.packed);
  if (map.empty()) {
    if (a.result.is_null() && a.text.empty()) {
      emit(self_, send_end{a.status});
      return over(a.status, ec::none);
    }
    map = a.text.empty() ? core::dump_cbor(a.result) : core::bytes::copy(a.text);
  }
  if (map.size() > map_bytes_max)
    return fail({ec::body_cap, "the answer is longer than one frame; ask for fewer items"});
  send_chunk c;
  c.data = std::move(map);
  c.end = true;
  c.status = a.status;
  emit(self_, std::move(c));
  over(a.status, ec::none);
}

void oap_exchange::fail(error e) {
  if (over_ || cancelled_)
    return;
  const auto code = e.code;
  emit(self_, send_error{std::move(e)});
  over(core::oap_status(code), code);
}

void oap_exchange::begin(object_head head) {
  if (over_ || cancelled_)
    return;
  began_ = true;
  core::json map = head.result.is_object() ? std::move(head.result) : core::json::object();
  map["cid"] = head.cid.to_text();
  map["size"] = head.size;
  if (head.partial)
    map["range"] = core::json::array({head.first, head.first + head.length - 1});
  head_ = std::move(head);
  send_chunk c;
  c.data = core::dump_cbor(map);
  c.status = status();
  emit(self_, std::move(c));
  ++self_->state.box->chunks;
}

void oap_exchange::write(core::bytes chunk, room_handler room) {
  if (over_ || cancelled_)
    return;
  send_chunk c;
  c.data = std::move(chunk);
  c.status = status();
  if (first_chunk_ && reply_objects_ && head_) {
    c.obj = head_->cid;
    c.total = head_->size;
  }
  first_chunk_ = false;
  emit(self_, std::move(c));
  ++self_->state.box->chunks;
  wants_room_ = std::move(room);
  offer_room();
}

void oap_exchange::offer_room(std::uint32_t turn) {
  if (wants_turn_ && turn != 0 && !cancelled_)
    std::exchange(wants_turn_, nullptr)(turn);
  if (!wants_room_ || cancelled_)
    return;
  auto& box = *self_->state.box;
  box.wants_room = box.chunks >= oap_stream_state::chunks_max;
  if (!box.wants_room)
    std::exchange(wants_room_, nullptr)();
}

void oap_exchange::begin_events(core::json about) {
  if (over_ || cancelled_)
    return;
  began_ = true;
  send_chunk c;
  c.data = core::dump_cbor(about);
  emit(self_, std::move(c));
  ++self_->state.box->chunks;
}

void oap_exchange::want_room(events_handler room) {
  if (over_ || cancelled_)
    return;
  wants_turn_ = std::move(room);
  emit(self_, want_turn{});
}

/// An event that is longer than a frame goes out in several; the first says how long it is.
void oap_exchange::push(event e) {
  if (over_ || cancelled_)
    return;
  auto rest = core::dump_cbor(e.data);
  const auto total = rest.size();
  for (bool first = true; first || !rest.empty(); first = false) {
    send_chunk c;
    c.push = true;
    c.data = rest.slice(0, std::min(rest.size(), map_bytes_max));
    rest = rest.slice(c.data.size());
    if (first && !rest.empty())
      c.total = total;
    emit(self_, std::move(c));
    ++self_->state.box->chunks;
  }
}

void oap_exchange::drain() {
  if (!call_.op->waits || over_ || cancelled_)
    return;
  const auto told = std::exchange(on_cancel_, nullptr);
  fail({ec::draining, "the node is stopping"});
  if (told)
    told();
}

void oap_exchange::finish() {
  if (over_ || cancelled_)
    return;
  emit(self_, send_end{status()});
  over(status(), ec::none);
}

// -- end ---------------------------------------------------------------------------

void oap_exchange::cancel() {
  if (over_ || cancelled_)
    return;
  cancelled_ = true;
  const auto told = std::exchange(on_cancel_, nullptr);
  over(core::oap_status(ec::cancelled), ec::cancelled);
  if (told)
    told();
  if (auto f = std::exchange(wants_body_, nullptr))
    f(core::fail(ec::cancelled, "the caller took the request back"));
}

/// Nobody will ask for the rest of the body: its memory and its credit go back.
void oap_exchange::drop_body() {
  if (body_.empty())
    return;
  std::uint32_t frames = 0;
  for (const auto& f : std::exchange(body_, {})) {
    unstage(f);
    frames += f.data.empty() || f.piece ? 0 : 1;
  }
  if (frames != 0 && !cancelled_)
    emit_consumed(self_, frames);
}

void oap_exchange::over(std::uint16_t status, ec why) {
  over_ = true;
  drop_body();
  // They may hold whoever serves this, and that holds us.
  const auto room = std::exchange(wants_room_, nullptr);
  const auto turn = std::exchange(wants_turn_, nullptr);
  const auto told = std::exchange(on_cancel_, nullptr);
  auto& st = self_->state;
  st.answered = true;
  admitted_.slot.reset();
  st.service->requests().end(call_.op, st.service->clock().now() - call_.started, status, why);
}

core::instant oap_exchange::check(core::instant now) {
  const auto& set = limits();
  if (wants_body_) {
    const auto end = body_since_ + set.body_timeout;
    if (now < end)
      return end;
    std::exchange(wants_body_, nullptr)(core::fail(ec::timeout, "the body is too slow"));
    return now + set.body_timeout;
  }
  // While an upload is being stored its steps have deadlines of their own.
  if (began_ || call_.op->takes == transport::body::object)
    return now + set.body_timeout;
  if (now < call_.deadline)
    return call_.deadline;
  fail({ec::downstream_timeout, "no answer within the deadline"});
  return now + set.body_timeout;
}

/// Of an answer that has begun.
std::uint16_t oap_exchange::status() const noexcept {
  return head_ && head_->partial ? 206 : 200;
}

const oap_settings& oap_exchange::limits() const noexcept {
  return *self_->state.settings;
}

} // namespace ron::transport
