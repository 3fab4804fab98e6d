#include "oap/credit.hpp"

#include <algorithm>

namespace ron::oap {

namespace {

std::uint64_t add_clipped(std::uint64_t a, std::uint64_t b) noexcept {
  return a > seq_end - b ? seq_end : a + b;
}

} // namespace

// -- send_credit -----------------------------------------------------------------

std::uint32_t send_credit::room() const noexcept {
  auto limit = std::min(add_clipped(acked_, window_), seq_end - 1);
  return limit > sent_ ? static_cast<std::uint32_t>(limit - sent_) : 0;
}

reason send_credit::on_ack(std::uint64_t up_to, std::uint32_t window,
                           std::uint32_t& freed) noexcept {
  if (up_to < acked_)
    return reason::ack_rollback;
  if (up_to > sent_)
    return reason::ack_overshoot;
  freed = static_cast<std::uint32_t>(up_to - acked_);
  acked_ = up_to;
  window_ = window;
  return reason::none;
}

void send_credit::widen(std::uint32_t window) noexcept {
  window_ = std::max(window_, window);
}

// -- receive_credit --------------------------------------------------------------

receive_credit::receive_credit(std::uint64_t start, std::uint32_t window) noexcept
  : received_(start),
    acked_(start),
    limit_(add_clipped(start, window)),
    granted_(limit_),
    consumed_(start),
    window_(window) {
  // nop
}

reason receive_credit::on_data(std::uint64_t seq) noexcept {
  if (seq == seq_end)
    return reason::seq_gap;
  if (seq <= received_)
    return reason::dup_seq;
  if (seq != received_ + 1)
    return reason::seq_gap;
  if (seq > limit_)
    return reason::window_overrun;
  received_ = seq;
  return reason::none;
}

reason receive_credit::on_empty_end(std::uint64_t seq) const noexcept {
  return seq == received_ ? reason::none : reason::seq_gap;
}

void receive_credit::on_consumed(std::uint32_t n) noexcept {
  consumed_ += std::min<std::uint64_t>(n, received_ - consumed_);
}

std::uint32_t receive_credit::window_for(std::uint32_t target) const noexcept {
  auto held = unconsumed();
  return target > held ? target - held : 0;
}

bool receive_credit::ack_due() const noexcept {
  return unacked() >= std::max<std::uint32_t>(1, window_ / 2);
}

bool receive_credit::grant_due(std::uint32_t target) const noexcept {
  auto fresh = add_clipped(received_, window_for(target));
  if (fresh <= granted_)
    return false;
  // A sender without credit gets whatever there is: its consumer may need one frame more than
  // half a window to go on.
  return granted_ <= received_ || fresh - granted_ >= std::max<std::uint32_t>(1, target / 2);
}

std::uint32_t receive_credit::on_ack_sent(std::uint32_t window) noexcept {
  auto freed = unacked();
  acked_ = received_;
  window_ = window;
  granted_ = add_clipped(received_, window);
  limit_ = std::max(limit_, granted_);
  return freed;
}

} // namespace ron::oap
