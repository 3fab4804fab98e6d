#include "transport/quic/frame_lanes.hpp"

#include "oap/writer.hpp"
#include "transport/quic/frame_words.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace ron::transport::quic {

namespace {

using oap::corr_t;
using oap::load_be;
namespace flag = oap::flag;
namespace off = oap::off;

constexpr stream_id control = 0;

/// Where the bytes of a connection that is gone go.
class nobody final : public stream_carrier {
public:
  std::optional<stream_id> open_stream() override { return std::nullopt; }
  void send(stream_id, core::bytes) override {
    // nop
  }
  void finish(stream_id) override {
    // nop
  }
  void reset(stream_id, app_code) override {
    // nop
  }
  void stop(stream_id, app_code) override {
    // nop
  }
  void credit(std::size_t) override {
    // nop
  }
};

oap::reason reason_of(app_code code) noexcept {
  constexpr app_code largest = 0xffff;
  return code == 0 || code > largest ? oap::reason::cancelled : static_cast<oap::reason>(code);
}

} // namespace

frame_lanes::frame_lanes(side s, stream_carrier& carrier, std::uint32_t frame_max)
    : side_(s), carrier_(&carrier), frame_max_(frame_max) {
  // nop
}

// -- what comes ----------------------------------------------------------------------

void frame_lanes::on_stream_data(stream_id id, core::byte_view data, bool fin) {
  if (breach_ != oap::reason::none)
    return;
  const auto [i, is_new] = lanes_.try_emplace(id);
  auto& l = i->second;
  if (l.shut)
    return carrier_->credit(data.size());
  if (is_new && id == control && !waiting_.empty())
    flush_waiting(); // now HELLO has a stream to go on
  take_frames(id, l, data);
  if (fin && id == control)
    control_over_ = l.in_over = true;
  const bool whole = l.part.filled() == 0 && l.in_over;
  if (fin && breach_ == oap::reason::none && !l.in_void && !whole)
    end_with(oap::reason::truncated);
}

void frame_lanes::take_frames(stream_id id, lane& l, core::byte_view& data) {
  while (!data.empty() && breach_ == oap::reason::none) {
    if (l.part.filled() != 0) {
      if (!join(id, l, data))
        return;
      continue;
    }
    if (data.size() < oap::header_bytes) {
      add_part(l, data);
      return;
    }
    const auto len = load_be<std::uint32_t>(data.data());
    const bool hopeless = len > frame_max_ || len < oap::header_bytes;
    if (!hopeless && !check(id, data.data()))
      return;
    if (hopeless) { // its length is all the session needs to reject it
      add_batch(id, l, data);
      data = {};
    } else if (len <= data.size()) {
      note_in(id, l, data.first(len));
      add_batch(id, l, data.first(len));
      data = data.subspan(len);
    } else {
      l.want = len;
      add_part(l, data);
      return;
    }
  }
}

/// Adds to the unfinished frame; true if it is complete and was handed on.
bool frame_lanes::join(stream_id id, lane& l, core::byte_view& data) {
  if (l.want == 0) {
    const auto n = std::min(oap::header_bytes - l.part.filled(), data.size());
    add_part(l, data.first(n));
    data = data.subspan(n);
    if (l.part.filled() < oap::header_bytes)
      return false;
    const auto* head = l.part.view().data();
    l.want = load_be<std::uint32_t>(head);
    if (l.want > frame_max_ || l.want < oap::header_bytes)
      l.want = l.part.filled();
    else if (!check(id, head))
      return false;
  }
  const auto n = std::min(l.want - l.part.filled(), data.size());
  add_part(l, data.first(n));
  data = data.subspan(n);
  if (l.part.filled() < l.want)
    return false;
  assembling_ -= l.want;
  --unfinished_;
  note_in(id, l, l.part.view());
  add_own(id, l, l.part.cut(0, l.want));
  l.part = core::slab{};
  l.want = 0;
  return true;
}

void frame_lanes::add_part(lane& l, core::byte_view v) {
  if (v.empty())
    return;
  if (l.part.filled() == 0) {
    ++unfinished_;
    l.grown = 0;
    l.aged = 0;
  }
  l.grown += v.size();
  const auto need = l.part.filled() + v.size();
  if (l.part.capacity() < need) {
    // Grows with what has come, not by what was announced.
    const auto most = l.want != 0 ? l.want : oap::header_bytes;
    core::slab larger{std::min(most, std::max({need, first_room, l.part.capacity() * 4}))};
    const auto old = l.part.view();
    if (!old.empty())
      std::memcpy(larger.room().data(), old.data(), old.size());
    larger.commit(old.size());
    l.part = std::move(larger);
  }
  std::memcpy(l.part.room().data(), v.data(), v.size());
  l.part.commit(v.size());
  assembling_ += v.size();
  if (assembling_ > assembling_max)
    pay_early(v.size());
}

void frame_lanes::pay_early(std::size_t n) {
  prepaid_ += n;
  carrier_->credit(n);
}

/// Is the frame on the stream where it belongs? `frame` has a whole header.
bool frame_lanes::check(stream_id id, const std::uint8_t* frame) {
  const auto corr = load_be<corr_t>(frame + off::corr);
  const bool good =
    id == control ? app_of(frame) == 0 : app_of(frame) != 0 && corr == static_cast<corr_t>(id) / 4;
  if (!good)
    end_with(oap::reason::state_conn);
  return good;
}

void frame_lanes::note_in(stream_id id, lane& l, core::byte_view whole) {
  const auto* frame = whole.data();
  if (id == control)
    return;
  if (early_ && !std::exchange(l.judged, true) && !runs_early(whole)) {
    l.held = true;
    ++held_streams_;
  }
  if ((flags_of(frame) & flag::start) != 0 && !std::exchange(l.started, true))
    l.app = app_of(frame);
  if (is_error(frame)) {
    l.in_over = true;
    if (!std::exchange(l.out_over, true)) // nobody wants the rest
      carrier_->reset(id, static_cast<app_code>(oap::reason::cancelled));
  } else if ((flags_of(frame) & flag::end) != 0) {
    l.in_over = true;
  }
}

/// Where a frame waits that the session may not see yet; null if it may.
std::vector<core::bytes>* frame_lanes::waiting_room(stream_id id, const lane& l) noexcept {
  if (l.held)
    return &held_;
  return id != control && !hello_in_ ? &before_hello_ : nullptr;
}

void frame_lanes::add_batch(stream_id id, const lane& l, core::byte_view frame) {
  if (auto* room = waiting_room(id, l)) {
    room->push_back(core::bytes::copy(frame));
    return;
  }
  if (batch_.room().size() < frame.size()) {
    cut_batch();
    const auto usual = batch_.capacity() == 0 ? batch_small : batch_large;
    batch_ = core::slab{std::max(usual, frame.size())};
    cut_ = 0;
  }
  std::memcpy(batch_.room().data(), frame.data(), frame.size());
  batch_.commit(frame.size());
  if (++uncut_ >= batch_frames)
    cut_batch();
  if (id == control && !std::exchange(hello_in_, true))
    let_in(before_hello_);
}

void frame_lanes::add_own(stream_id id, const lane& l, core::bytes frame) {
  if (auto* room = waiting_room(id, l)) {
    room->push_back(std::move(frame));
    return;
  }
  cut_batch();
  ready_.push_back(std::move(frame));
  if (id == control && !std::exchange(hello_in_, true))
    let_in(before_hello_);
}

/// What has waited is the session's from now on, behind what is there.
void frame_lanes::let_in(std::vector<core::bytes>& room) {
  cut_batch();
  for (auto& frame : std::exchange(room, {}))
    hello_in_ ? ready_.push_back(std::move(frame)) : before_hello_.push_back(std::move(frame));
}

void frame_lanes::cut_batch() {
  if (cut_ == batch_.filled())
    return;
  ready_.push_back(batch_.cut(cut_, batch_.filled() - cut_));
  cut_ = batch_.filled();
  uncut_ = 0;
}

core::bytes frame_lanes::take() {
  if (ready_.empty())
    cut_batch();
  if (ready_.empty())
    return {};
  auto out = std::move(ready_.front());
  ready_.pop_front();
  if (ready_.empty() && cut_ == batch_.filled()) {
    batch_ = core::slab{}; // an idle connection keeps no buffer
    cut_ = 0;
  }
  repay(out.size());
  return out;
}

// -- streams that end otherwise ------------------------------------------------------

void frame_lanes::on_stream_reset(stream_id id, app_code code) {
  if (id == control)
    return end_with(oap::reason::truncated);
  auto i = lanes_.find(id);
  if (i == lanes_.end())
    return;
  auto& l = i->second;
  drop_part(l);
  if (!std::exchange(l.in_over, true) && !l.in_void)
    say_error(id, l, code);
}

void frame_lanes::on_stream_stopped(stream_id id, app_code code) {
  if (id == control)
    return end_with(oap::reason::truncated);
  auto i = lanes_.find(id);
  if (i == lanes_.end())
    return;
  auto& l = i->second;
  l.out_over = true;
  if (!l.in_void)
    say_error(id, l, code);
}

/// The peer ended the stream without a frame: the session hears of it as if there had been one.
void frame_lanes::say_error(stream_id id, lane& l, app_code code) {
  l.in_void = true;
  if (!std::exchange(l.out_over, true))
    carrier_->reset(id, static_cast<app_code>(oap::reason::cancelled));
  if (!l.started)
    return; // the session does not know of it
  const auto why = reason_of(code);
  oap::writer frame;
  frame.error(
    {.corr = static_cast<corr_t>(id) / 4, .app = l.app, .status = oap::status_of(why), .why = why});
  std::vector<core::bytes> out;
  frame.take(out);
  for (const auto& b : out) {
    prepaid_ += b.size(); // these bytes never crossed the wire
    add_batch(id, l, b.view());
  }
}

std::size_t frame_lanes::age(std::chrono::milliseconds patience) {
  if (unfinished_ == 0)
    return 0;
  const auto due = rate_min * static_cast<std::size_t>(patience.count()) / 1'000;
  const auto share = std::max<std::size_t>(due / unfinished_, 1);
  std::size_t ended = 0;
  for (auto& [id, l] : lanes_) {
    // One more than a full time: the first call came some time after the frame had begun.
    if (id == control || l.part.filled() == 0 || ++l.aged <= ages)
      continue;
    if (l.grown < share) {
      expire(id, l);
      ++ended;
    }
    l.grown = 0;
    l.aged = 1;
  }
  return ended;
}

/// Both sides of the stream end with the reason `timeout`.
void frame_lanes::expire(stream_id id, lane& l) {
  constexpr auto why = static_cast<app_code>(oap::reason::timeout);
  drop_part(l);
  l.shut = true;
  carrier_->stop(id, why);
  if (!std::exchange(l.out_over, true))
    carrier_->reset(id, why);
  if (!std::exchange(l.in_over, true) && !l.in_void)
    say_error(id, l, why);
}

std::size_t frame_lanes::unfinished_control() const noexcept {
  const auto i = lanes_.find(control);
  return i == lanes_.end() ? 0 : i->second.part.filled();
}

void frame_lanes::on_stream_closed(stream_id id) {
  auto i = lanes_.find(id);
  if (i == lanes_.end())
    return;
  drop_part(i->second);
  lanes_.erase(i);
}

/// An unfinished frame that will never be complete: its credit goes back.
void frame_lanes::drop_part(lane& l) {
  const auto n = l.part.filled();
  if (n == 0)
    return;
  assembling_ -= n;
  --unfinished_;
  repay(n);
  l.part = core::slab{};
  l.want = 0;
}

/// `n` bytes are no longer ours: the peer may send as many, unless it was told so already.
void frame_lanes::repay(std::size_t n) {
  const auto paid = std::min(prepaid_, n);
  prepaid_ -= paid;
  if (paid < n)
    carrier_->credit(n - paid);
}

void frame_lanes::detach() noexcept {
  static nobody gone;
  carrier_ = &gone;
  waiting_.clear();
}

bool frame_lanes::peer_done() const noexcept {
  return control_over_ && held_.empty() && std::ranges::all_of(lanes_, [](const auto& x) {
           return x.second.in_over || x.second.in_void;
         });
}

void frame_lanes::end_with(oap::reason why) noexcept {
  if (breach_ == oap::reason::none)
    breach_ = why;
}

} // namespace ron::transport::quic
