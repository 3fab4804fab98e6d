#include "transport/quic/frame_lanes.hpp"

#include "oap/reader.hpp"
#include "transport/quic/frame_words.hpp"

#include <algorithm>
#include <utility>

namespace ron::transport::quic {

namespace {

using oap::corr_t;
using oap::load_be;
namespace flag = oap::flag;
namespace off = oap::off;

constexpr stream_id control = 0;

} // namespace

// -- before the handshake is complete ------------------------------------------------

void frame_lanes::run_early(operation_names names) {
  early_ = std::move(names);
}

/// `frame` begins a stream: is it START of an operation that may be repeated by anybody?
bool frame_lanes::runs_early(core::byte_view frame) const noexcept {
  const auto seen = oap::next(frame, {.max_frame = frame_max_});
  if (seen.is != oap::read_status::frame || seen.kind != oap::kind::start)
    return false;
  const auto name = oap::read_start(oap::view_of(frame, seen)).name;
  return std::ranges::find(*early_, name) != early_->end();
}

void frame_lanes::on_open() {
  if (!std::exchange(early_, nullptr))
    return;
  for (auto& [id, l] : lanes_)
    l.held = false;
  let_in(held_);
  flush_waiting();
}

// -- what goes -----------------------------------------------------------------------

void frame_lanes::write(std::vector<core::bytes>& slices) {
  std::size_t rest = 0; // of a frame whose bytes go on in the next slice
  outgoing frame;
  const std::uint8_t* head = nullptr;
  for (const auto& slice : slices) {
    std::size_t at = 0;
    std::size_t from = 0; // what is not with a stream yet
    while (at < slice.size()) {
      if (rest == 0) {
        head = slice.data() + at;
        const auto next = app_of(head) == 0 ? 0 : load_be<corr_t>(head + off::corr);
        if (next != frame.corr && at > from) {
          frame.slice = slice.slice(from, at - from);
          put(frame);
          from = at;
        }
        frame.corr = next;
        frame.app = app_of(head);
        rest = load_be<std::uint32_t>(head);
      }
      const auto n = std::min(rest, slice.size() - at);
      at += n;
      rest -= n;
      const bool last = rest == 0 && ends_direction(head);
      if (!last && at < slice.size())
        continue;
      frame.slice = slice.slice(from, at - from);
      frame.last = last;
      frame.error = last && is_error(head) ? error_code(head) : 0;
      put(frame);
      frame.last = false;
      frame.error = 0;
      from = at;
    }
  }
  slices.clear();
}

bool frame_lanes::ends_direction(const std::uint8_t* frame) {
  if (app_of(frame) != 0)
    return (flags_of(frame) & flag::end) != 0 || is_error(frame);
  if (is_error(frame)) {
    const auto why = static_cast<oap::reason>(error_code(frame));
    if (why != oap::reason::drain)
      close_reason_ = why;
  }
  return false;
}

/// Hands bytes to their stream, or keeps them until it may be opened.
void frame_lanes::put(const outgoing& f) {
  const auto id = static_cast<stream_id>(f.corr * 4);
  if (!waiting_.empty() && !may_pass(f.corr)) {
    waiting_.push_back(f);
    return;
  }
  auto i = lanes_.find(id);
  if (i == lanes_.end()) {
    if (f.corr < next_corr_)
      return; // the stream is over
    if (side_ == side::server ? id != control : false)
      return;
    const bool too_early = early_ && id != control && !runs_early(f.slice.view());
    if (side_ == side::server || too_early || !carrier_->open_stream()) {
      waiting_.push_back(f);
      return;
    }
    ++next_corr_;
    i = lanes_.emplace(id, lane{}).first;
  }
  send(id, i->second, f);
}

/// True if the stream is open (or over): nothing that waits concerns it.
bool frame_lanes::may_pass(corr_t corr) const {
  return corr < next_corr_ || lanes_.contains(static_cast<stream_id>(corr * 4));
}

void frame_lanes::send(stream_id id, lane& l, const outgoing& f) {
  if (side_ == side::client && id != control) {
    l.started = true;
    l.app = f.app;
  }
  if (!l.out_over) {
    carrier_->send(id, f.slice);
    if (f.last) {
      l.out_over = true;
      carrier_->finish(id);
    }
  }
  if (f.error != 0 && !l.in_over && !std::exchange(l.in_void, true))
    carrier_->stop(id, f.error);
}

void frame_lanes::on_streams_allowed() {
  flush_waiting();
}

void frame_lanes::flush_waiting() {
  auto held = std::exchange(waiting_, {});
  for (const auto& f : held)
    put(f); // what may still not be opened waits again, in order
}

} // namespace ron::transport::quic
