#pragma once

#include "oap/reject.hpp"

#include <algorithm>
#include <cstdint>

/// The credit algebra (OAP1.md, section 7): sequence numbers, windows and shares. Pure.
namespace ron::oap {

/// No DATA may have this number; reaching it is a breach.
inline constexpr std::uint64_t seq_end = ~std::uint64_t{0};

/// a + b, clipped at `seq_end`.
constexpr std::uint64_t add_clipped(std::uint64_t a, std::uint64_t b) noexcept {
  return a > seq_end - b ? seq_end : a + b;
}

/// The half that sends: S highest seq sent, A highest `up_to` received, W window last granted.
class send_credit {
public:
  send_credit() noexcept = default;
  /// S = A = `start`, W = `window`.
  send_credit(std::uint64_t start, std::uint32_t window) noexcept
    : sent_(start), acked_(start), window_(window) {
    // nop
  }
  /// Frames that may be sent now by this half's own window.
  std::uint32_t room() const noexcept;
  /// Takes the next seq. Precondition: `room() > 0`.
  std::uint64_t take() noexcept { return ++sent_; }
  /// ACK: legal iff A <= up_to <= S. `freed` becomes the number of newly acknowledged frames.
  /// Errors: ack_rollback, ack_overshoot; nothing has changed then.
  reason on_ack(std::uint64_t up_to, std::uint32_t window, std::uint32_t& freed) noexcept;
  /// The peer's HELLO came and nothing was acknowledged yet: the window it opens with is larger.
  void widen(std::uint32_t window) noexcept;

  std::uint64_t last_sent() const noexcept { return sent_; }
  std::uint64_t acked() const noexcept { return acked_; }
  std::uint32_t window() const noexcept { return window_; }
  /// Frames sent and not acknowledged.
  std::uint64_t unacked() const noexcept { return sent_ - acked_; }

private:
  std::uint64_t sent_ = 0;
  std::uint64_t acked_ = 0;
  std::uint32_t window_ = 0;
};

/// The half that receives: R highest contiguous seq received, U last `up_to` sent, G the largest
/// `up_to + window` ever sent, C frames that the consumer has taken (as a seq).
class receive_credit {
public:
  receive_credit() noexcept = default;
  receive_credit(std::uint64_t start, std::uint32_t window) noexcept;

  /// Checks and takes DATA (or END with bytes) of number `seq`: legal iff seq == R + 1 and
  /// seq <= G. Errors: dup_seq, seq_gap, window_overrun; nothing has changed then.
  reason on_data(std::uint64_t seq) noexcept;
  /// Checks END without bytes: its seq is the last. Error: seq_gap.
  reason on_empty_end(std::uint64_t seq) const noexcept;
  /// The consumer took `n` frames; more than it was given is clipped.
  void on_consumed(std::uint32_t n) noexcept;

  /// What an ACK sent now would say if the half may hold `target` frames that are not consumed.
  std::uint32_t window_for(std::uint32_t target) const noexcept;
  /// True if an acknowledgement is due by this half's own rule: max(1, window/2) frames.
  bool ack_due() const noexcept;
  /// True if a window update is worth an ACK: max(1, target/2) frames more than granted, or any
  /// if the peer has none left.
  bool grant_due(std::uint32_t target) const noexcept;
  /// An ACK of `received()` with `window` is sent; returns the frames that it acknowledges.
  std::uint32_t on_ack_sent(std::uint32_t window) noexcept;

  std::uint64_t received() const noexcept { return received_; }
  std::uint64_t limit() const noexcept { return limit_; }
  /// Frames received and not acknowledged.
  std::uint32_t unacked() const noexcept { return static_cast<std::uint32_t>(received_ - acked_); }
  /// Frames received and not consumed: what the window must leave room for.
  std::uint32_t unconsumed() const noexcept {
    return static_cast<std::uint32_t>(received_ - consumed_);
  }
  /// G - C: frames that are granted or held. The receive budget counts these.
  std::uint32_t committed() const noexcept {
    return static_cast<std::uint32_t>(limit_ - consumed_);
  }
  /// The half is closed: nothing more may come, what is held still counts.
  void close() noexcept { limit_ = granted_ = received_; }
  /// G - R: frames that the peer may have in flight.
  std::uint32_t in_flight_max() const noexcept {
    return static_cast<std::uint32_t>(limit_ - received_);
  }

private:
  std::uint64_t received_ = 0;
  std::uint64_t acked_ = 0;
  std::uint64_t limit_ = 0;   ///< largest ever granted: what is in flight below it stays legal
  std::uint64_t granted_ = 0; ///< granted last: where the peer stops
  std::uint64_t consumed_ = 0;
  std::uint32_t window_ = 0;  ///< of the last ACK
};

/// Un-acknowledged frames of one direction of a connection, at most max_inflight.
class inflight_share {
public:
  explicit inflight_share(std::uint32_t max = 0) noexcept : max_(max) {}
  /// One frame more. False if that passes the maximum; nothing has changed then.
  bool take() noexcept {
    if (used_ >= max_)
      return false;
    ++used_;
    return true;
  }
  /// `n` frames were acknowledged, or their stream ended.
  void give_back(std::uint64_t n) noexcept {
    used_ = n < used_ ? used_ - static_cast<std::uint32_t>(n) : 0;
  }
  void set_max(std::uint32_t max) noexcept { max_ = max; }
  std::uint32_t used() const noexcept { return used_; }
  std::uint32_t max() const noexcept { return max_; }
  std::uint32_t room() const noexcept { return used_ < max_ ? max_ - used_ : 0; }
  /// True from max/2 on: the receiver acknowledges every stream now. Without this rule five
  /// streams that each stay below their own threshold would stop the connection for good.
  bool half_used() const noexcept { return used_ >= (max_ > 1 ? max_ / 2 : 1); }

private:
  std::uint32_t used_ = 0;
  std::uint32_t max_ = 0;
};

// -- the hot ones, inline ---------------------------------------------------------

inline std::uint32_t send_credit::room() const noexcept {
  auto limit = std::min(add_clipped(acked_, window_), seq_end - 1);
  return limit > sent_ ? static_cast<std::uint32_t>(limit - sent_) : 0;
}

inline reason receive_credit::on_data(std::uint64_t seq) noexcept {
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

inline void receive_credit::on_consumed(std::uint32_t n) noexcept {
  consumed_ += std::min<std::uint64_t>(n, received_ - consumed_);
}

inline std::uint32_t receive_credit::window_for(std::uint32_t target) const noexcept {
  auto held = unconsumed();
  return target > held ? target - held : 0;
}

inline bool receive_credit::ack_due() const noexcept {
  return unacked() >= std::max<std::uint32_t>(1, window_ / 2);
}

} // namespace ron::oap
