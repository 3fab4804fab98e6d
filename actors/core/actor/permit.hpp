#pragma once

#include "core/limits.hpp"

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>

namespace ron::core {

class permit_pool;

/// Which request of a piece of work asks for a permit.
enum class work_step : std::uint8_t {
  first,   ///< nothing is promised yet: refused when the line is full, so that load is shed here
  further, ///< an answer has begun or bytes were taken: waits its turn, or that work were lost
};

/// The right to have one request at a downstream. Gives itself back when it goes. Move-only; may
/// be released on any thread.
class permit {
public:
  permit() noexcept = default;
  permit(permit&& o) noexcept = default;
  permit& operator=(permit&& o) noexcept {
    if (this != &o) {
      release();
      pool_ = std::move(o.pool_);
    }
    return *this;
  }
  ~permit() { release(); }

  explicit operator bool() const noexcept { return pool_ != nullptr; }
  void release() noexcept;

private:
  friend class permit_pool;
  explicit permit(std::shared_ptr<permit_pool> pool) noexcept : pool_(std::move(pool)) {}
  std::shared_ptr<permit_pool> pool_;
};

/// A node-wide number of permits and a node-wide number of places to wait, both in one atomic
/// word, so that every decision is one compare-and-swap and no wake-up is lost: a waiter is
/// counted in the same step in which it finds no permit free. Who waits and in what order is the
/// business of the semaphore actors. Any thread.
class permit_pool : public std::enable_shared_from_this<permit_pool> {
public:
  /// Places that only further steps may take. Each piece of work has one step under way at most,
  /// so the number of exchanges in flight bounds them long before.
  static constexpr std::uint32_t further_max = limits::mailbox_bound_max;

  /// Places for first steps, whatever is set: lines are made for so many.
  static constexpr std::uint32_t waiters_most = 2 * 65'536;

  /// `permits` >= 1. `waiters_max` may be 0 and is `waiters_most` at most.
  static std::shared_ptr<permit_pool> make(std::uint32_t permits, std::uint32_t waiters_max);

  /// A permit if one is free and nobody waits for it, else an empty one.
  permit try_acquire() noexcept;

  enum class admission : std::uint8_t { granted, waits, full };
  /// Takes a permit if one is free and nobody waits (`granted`, in `out`), else a place to wait
  /// if there is one (`waits`; the caller owes one `grant_waiting` or `leave`). A further step has
  /// `further_max` places behind those for first steps.
  admission acquire_or_wait(permit& out, work_step step) noexcept;

  /// Turns a place to wait into a permit; empty, and the place is kept, while none is free.
  permit grant_waiting() noexcept;

  /// Gives up a place to wait.
  void leave() noexcept;

  /// True while a permit is free and somebody waits.
  bool must_wake() const noexcept;

  /// What a release calls while somebody waits, on the releasing thread. Set before first use.
  void on_free(std::function<void()> wake) { wake_ = std::move(wake); }

  /// Other figures from now on. Permits that are out stay out, and whoever waits keeps its place;
  /// the caller wakes those who wait if `must_wake`.
  void set(std::uint32_t permits, std::uint32_t waiters_max) noexcept;

  std::uint32_t permits() const noexcept { return permits_.load(std::memory_order_relaxed); }
  std::uint32_t waiters_max() const noexcept {
    return waiters_max_.load(std::memory_order_relaxed);
  }
  std::uint32_t in_use() const noexcept { return used(load()); }
  std::uint32_t waiting() const noexcept { return waiting(load()); }

private:
  friend class permit;
  using word = std::uint64_t; ///< permits in use in the low half, waiters in the high half
  static constexpr word one_used = 1;
  static constexpr word one_waiting = word{1} << 32;
  static constexpr std::uint32_t used(word w) noexcept { return static_cast<std::uint32_t>(w); }
  static constexpr std::uint32_t waiting(word w) noexcept {
    return static_cast<std::uint32_t>(w >> 32);
  }

  permit_pool(std::uint32_t permits, std::uint32_t waiters_max) noexcept
    : permits_(permits), waiters_max_(std::min(waiters_max, waiters_most)) {
    // nop
  }
  word load() const noexcept { return word_.load(std::memory_order_acquire); }
  void give_back() noexcept;

  std::atomic<std::uint32_t> permits_;
  std::atomic<std::uint32_t> waiters_max_;
  std::function<void()> wake_;
  alignas(64) std::atomic<word> word_{0};
};

} // namespace ron::core
