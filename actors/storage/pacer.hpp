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
  explicit pacer(std::uint64_t rate) noexcept : pace_(rate) {}

  /// Waits until `bytes` may go. False if that is not before `stop`.
  bool wait(std::uint64_t bytes, const std::stop_token& stop) {
    std::unique_lock lock{mutex_};
    const auto at = pace_.admit(bytes, std::chrono::steady_clock::now());
    wake_.wait_until(lock, stop, at, [] { return false; });
    return !stop.stop_requested();
  }

private:
  std::mutex mutex_;
  std::condition_variable_any wake_;
  pace pace_;
};

} // namespace ron::storage
