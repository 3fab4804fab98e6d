#pragma once

#include "core/clock.hpp"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <stop_token>

namespace ron::storage {

/// Says when bytes may go so that no more than `rate` of them go in a second: each one pushes the
/// next away. Unused time is not saved up beyond a moment. Pure.
class pace {
public:
  /// Bytes per second; 0 = no bound.
  explicit pace(std::uint64_t rate) noexcept : rate_(rate) {}

  /// When `bytes` may go that are asked for at `now`.
  core::instant admit(std::uint64_t bytes, core::instant now) noexcept {
    if (rate_ == 0)
      return now;
    const auto at = std::max(free_, now - saved_max);
    free_ = at + std::chrono::nanoseconds{bytes * 1'000'000'000ull / rate_};
    return std::max(at, now);
  }

private:
  /// What may be made up for after a pause.
  static constexpr std::chrono::milliseconds saved_max{100};
  std::uint64_t rate_;
  core::instant free_{};
};

/// One pace for several threads that wait for their turn. Any thread.
class pacer {
public:
  explicit pacer(std::uint64_t rate) noexcept : rate_(rate), pace_(rate) {}

  /// Waits until `bytes` may go. False if that is not before `stop`.
  bool wait(std::uint64_t bytes, const std::stop_token& stop) {
    std::unique_lock lock{mutex_};
    for (bool changed = true; changed;) {
      const auto at = pace_.admit(bytes, std::chrono::steady_clock::now());
      changed = wake_.wait_until(lock, stop, at,
                                 [this, round = round_] { return round != round_; });
    }
    return !stop.stop_requested();
  }

  /// Another rate from now on; who waits by the old one asks again.
  void set_rate(std::uint64_t rate) {
    std::lock_guard guard{mutex_};
    if (rate == rate_)
      return;
    rate_ = rate;
    pace_ = pace{rate};
    ++round_;
    wake_.notify_all();
  }
  std::uint64_t rate() const {
    std::lock_guard guard{mutex_};
    return rate_;
  }

private:
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::uint64_t rate_;
  std::uint64_t round_ = 0; ///< of changes
  pace pace_;
};

} // namespace ron::storage
