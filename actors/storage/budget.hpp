#pragma once

#include <atomic>
#include <cstdint>

namespace ron::storage {

/// The bytes that a store may hold, shared by all its uploads: taken before something is kept,
/// given back when it is not kept after all or is deleted. Any thread.
class budget {
public:
  /// `max` 0 = no bound.
  explicit budget(std::uint64_t max, std::uint64_t taken = 0) noexcept : max_(max), taken_(taken) {}

  /// False, and nothing is taken, if the bound would be passed.
  bool take(std::uint64_t n) noexcept {
    auto max = max_.load(std::memory_order_relaxed);
    auto now = taken_.load(std::memory_order_relaxed);
    do {
      if (max != 0 && (n > max || now > max - n))
        return false;
    } while (!taken_.compare_exchange_weak(now, now + n, std::memory_order_relaxed));
    return true;
  }
  void give_back(std::uint64_t n) noexcept { taken_.fetch_sub(n, std::memory_order_relaxed); }

  /// What is taken stays, also above a smaller bound.
  void set_max(std::uint64_t max) noexcept { max_.store(max, std::memory_order_relaxed); }
  std::uint64_t max() const noexcept { return max_.load(std::memory_order_relaxed); }
  std::uint64_t taken() const noexcept { return taken_.load(std::memory_order_relaxed); }

private:
  std::atomic<std::uint64_t> max_;
  std::atomic<std::uint64_t> taken_;
};

} // namespace ron::storage
