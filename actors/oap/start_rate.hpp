#pragma once

#include "core/clock.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace ron::oap {

/// Counts the streams opened in a sliding second, in 33 buckets of 1/32 s: a stream counts for a
/// second and at most 1/32 s more, so no second ever sees more than the maximum.
class start_rate {
public:
  /// Takes one stream at `now` if fewer than `max` were taken in the second before.
  bool take(core::instant now, std::uint64_t max) noexcept {
    advance(now);
    if (sum_ >= max)
      return false;
    ++counts_[static_cast<std::size_t>(tick_ % slots)];
    ++sum_;
    return true;
  }
  std::uint64_t in_last_second() const noexcept { return sum_; }

private:
  static constexpr std::int64_t slots = 33;
  static constexpr std::chrono::nanoseconds width{1'000'000'000 / 32};

  // A clock that stands still or goes back is the same tick.
  void advance(core::instant now) noexcept {
    auto tick = now.time_since_epoch() / width;
    if (tick <= tick_)
      return;
    auto steps = std::min(tick - tick_, slots);
    for (std::int64_t i = 1; i <= steps; ++i) {
      auto& c = counts_[static_cast<std::size_t>((tick - steps + i) % slots)];
      sum_ -= c;
      c = 0;
    }
    tick_ = tick;
  }

  std::array<std::uint32_t, slots> counts_{};
  std::uint64_t sum_ = 0;
  std::int64_t tick_ = 0;
};

} // namespace ron::oap
