#include "oap/credit.hpp"

#include <algorithm>

namespace ron::oap {

// -- send_credit -----------------------------------------------------------------

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

reason receive_credit::on_empty_end(std::uint64_t seq) const noexcept {
  return seq == received_ ? reason::none : reason::seq_gap;
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
