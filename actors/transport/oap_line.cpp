#include "transport/oap_line.hpp"

#include <algorithm>
#include <utility>

namespace ron::transport {

namespace {

void take_earlier(std::optional<core::instant>& first, std::optional<core::instant> other) {
  if (other && (!first || *other < *first))
    first = other;
}

bool is_past(std::optional<core::instant> due, core::instant now) {
  return due && now >= *due;
}

} // namespace

oap_line::oap_line(const oap_line_limits& limits, core::instant now) noexcept
    : limits_(limits), began_(now), idle_since_(now) {
  // nop
}

// -- what happens --------------------------------------------------------------------

void oap_line::opened(bool in_steps) noexcept {
  in_steps_ = in_steps;
  if (phase_ == phase::opening)
    phase_ = phase::greeting;
}

void oap_line::received(std::size_t n, core::instant now) noexcept {
  idle_since_ = now;
  if (phase_ == phase::lingering)
    discarded_ += n;
}

void oap_line::read_ended() noexcept {
  read_ended_ = true;
}

void oap_line::look(const view& v, core::instant now) noexcept {
  if (phase_ == phase::greeting && v.hello)
    phase_ = phase::open;
  if (v.streams != 0 || view_.streams != 0)
    idle_since_ = now;
  // The clock of a frame starts with its first byte, however its bytes are dribbled out; it stands
  // still while we do not read.
  const bool goes_on = v.frames == view_.frames && view_.partial != 0 && view_.reading;
  if (v.partial != 0 && v.reading && !goes_on)
    frame_since_ = now;
  view_ = v;
}

void oap_line::written(std::size_t backlog, std::uint64_t sent, core::instant now) noexcept {
  if (sent != sent_ || backlog_ == 0)
    moved_at_ = now;
  if (in_steps_)
    pay(sent - sent_, now);
  if (phase_ == phase::lingering && backlog_ != 0 && backlog == 0)
    linger_since_ = now;
  if (backlog == 0 || backlog_ == 0) {
    rate_since_ = now;
    rate_sent_ = sent;
  }
  sent_ = sent;
  backlog_ = backlog;
  look_at_rate(now);
}

void oap_line::pay(std::uint64_t bytes, core::instant now) noexcept {
  const auto rate =
    limits_.answer_rate_min != 0 ? limits_.answer_rate_min : oap_line_limits{}.answer_rate_min;
  const auto worth = [&](std::uint64_t n) { return std::chrono::milliseconds{n * 1'000 / rate}; };
  paid_until_ = std::min(std::max(paid_until_, now) + worth(std::min(bytes, limits_.step_max)),
                         now + worth(limits_.step_max));
}

/// A peer that takes a byte now and then moves the clock of `write_timeout` for ever; what it makes
/// us hold is paid for by taking it at some speed.
void oap_line::look_at_rate(core::instant now) noexcept {
  if (!is_past(rate_due(), now))
    return;
  const auto seconds = static_cast<std::uint64_t>(limits_.rate_window / std::chrono::seconds{1});
  slow_ = sent_ - rate_sent_ < limits_.answer_rate_min * seconds;
  rate_since_ = now;
  rate_sent_ = sent_;
}

void oap_line::finish(ending how, core::instant now) noexcept {
  if (phase_ == phase::lingering || phase_ == phase::over)
    return;
  phase_ = phase::lingering;
  how_ = retiring_ && how == ending::clean ? ending::timeout : how;
  linger_since_ = now;
}

oap_line::order oap_line::tick(core::instant now) noexcept {
  look_at_rate(now);
  if (slow_ && (phase_ == phase::open || phase_ == phase::lingering))
    return end(ending::timeout);
  switch (phase_) {
  case phase::over:
    return order::none;
  case phase::opening:
    return now >= greeting_due() ? end(ending::timeout) : order::none;
  case phase::greeting:
    if (now >= greeting_due() || is_past(write_due(), now))
      return end(ending::timeout);
    return order::none;
  case phase::open:
    if (is_past(frame_due(), now) || is_past(write_due(), now))
      return end(ending::timeout);
    if (!is_past(idle_due(), now))
      return order::none;
    retiring_ = true;
    return order::retire;
  case phase::lingering:
    // The peer has left, too: there is nothing to wait for once our bytes are out.
    if (backlog_ == 0 && (read_ended_ || is_past(linger_due(), now)))
      return end(how_);
    if (discarded_ > limits_.discard_max || is_past(write_due(), now))
      return end(how_);
    return order::none;
  }
  return order::none;
}

oap_line::order oap_line::end(ending how) noexcept {
  phase_ = phase::over;
  how_ = how;
  return order::end;
}

// -- deadlines -----------------------------------------------------------------------

std::optional<core::instant> oap_line::wake_at() const noexcept {
  std::optional<core::instant> first;
  switch (phase_) {
  case phase::over:
    break;
  case phase::opening:
    first = greeting_due();
    break;
  case phase::greeting:
    first = greeting_due();
    take_earlier(first, write_due());
    break;
  case phase::open:
    first = frame_due();
    take_earlier(first, write_due());
    take_earlier(first, rate_due());
    take_earlier(first, idle_due());
    break;
  case phase::lingering:
    first = linger_due();
    take_earlier(first, write_due());
    take_earlier(first, rate_due());
    break;
  }
  return first;
}

std::optional<core::instant> oap_line::frame_due() const noexcept {
  if (view_.partial == 0 || !view_.reading)
    return std::nullopt;
  return frame_since_ + limits_.read_timeout;
}

std::optional<core::instant> oap_line::write_due() const noexcept {
  if (backlog_ == 0)
    return std::nullopt;
  return std::max(moved_at_ + limits_.write_timeout, paid_until_);
}

std::optional<core::instant> oap_line::rate_due() const noexcept {
  if (backlog_ == 0 || limits_.answer_rate_min == 0)
    return std::nullopt;
  return std::max(rate_since_ + limits_.rate_window, paid_until_);
}

std::optional<core::instant> oap_line::idle_due() const noexcept {
  if (view_.streams != 0 || retiring_)
    return std::nullopt;
  return idle_since_ + limits_.idle_timeout;
}

std::optional<core::instant> oap_line::linger_due() const noexcept {
  if (backlog_ != 0)
    return std::nullopt;
  return linger_since_ + limits_.discard_timeout;
}

} // namespace ron::transport
