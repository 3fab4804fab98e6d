#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <optional>

namespace ron::core {

/// A point on the monotonic clock; stands still while the machine sleeps. Timers and deadlines.
using instant = std::chrono::steady_clock::time_point;

/// Time since boot, sleep included: ages of things held in RAM.
struct boot_clock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<boot_clock>;
  static constexpr bool is_steady = true;
};

/// A point on the boot clock. Time-to-live of entries in RAM.
using boot_instant = boot_clock::time_point;

/// The only source of time. Machines get instants as arguments; actors and services hold a
/// `const clock&` that outlives them. Any thread.
class clock {
public:
  virtual ~clock() = default;
  virtual instant now() const noexcept = 0;
  virtual boot_instant boot_now() const noexcept = 0;
  /// Milliseconds since 1970 UTC. May jump; only for what other machines or a later process
  /// compare with: token and record times, stored expiry, log lines.
  virtual std::int64_t wall_ms() const noexcept = 0;
};

/// The clocks of the machine. Stateless.
class system_clock final : public clock {
public:
  instant now() const noexcept override;
  boot_instant boot_now() const noexcept override;
  std::int64_t wall_ms() const noexcept override;
};

/// A clock that a test moves by hand. Any thread.
class manual_clock final : public clock {
public:
  /// Starts an hour after the epochs of the two steady clocks, at `wall_ms`.
  explicit manual_clock(std::int64_t wall_ms = 1'700'000'000'000) noexcept
    : wall_ns_(wall_ms * ms) {
    // nop
  }
  instant now() const noexcept override {
    return instant{std::chrono::nanoseconds{steady_ns_.load(std::memory_order_acquire)}};
  }
  boot_instant boot_now() const noexcept override {
    return boot_instant{std::chrono::nanoseconds{boot_ns_.load(std::memory_order_acquire)}};
  }
  std::int64_t wall_ms() const noexcept override {
    return wall_ns_.load(std::memory_order_acquire) / ms;
  }
  /// Time passes: all three clocks move.
  void advance(std::chrono::nanoseconds d) noexcept {
    steady_ns_ += d.count();
    suspend(d);
  }
  /// The machine sleeps: the monotonic clock stands still.
  void suspend(std::chrono::nanoseconds d) noexcept {
    boot_ns_ += d.count();
    wall_ns_ += d.count();
  }
  /// Somebody sets the wall clock.
  void set_wall_ms(std::int64_t t) noexcept { wall_ns_ = t * ms; }

private:
  static constexpr std::int64_t ms = 1'000'000;
  static constexpr std::int64_t hour = 3'600'000 * ms;
  std::atomic<std::int64_t> steady_ns_{hour};
  std::atomic<std::int64_t> boot_ns_{hour};
  std::atomic<std::int64_t> wall_ns_;
};

/// Notices when the wall clock is set. Feed it regularly; sleep of the machine is no step.
/// One thread.
class wall_step_detector {
public:
  /// Steps up to this size (slewing, leap seconds, small corrections) are not reported.
  static constexpr std::chrono::milliseconds tolerance{60'000};

  explicit wall_step_detector(const clock& c) noexcept { rebase(c); }
  /// The step since the last call, negative if the clock went back, if it is over `tolerance`.
  /// Smaller differences add up until they are.
  std::optional<std::chrono::milliseconds> observe(const clock& c) noexcept;

private:
  void rebase(const clock& c) noexcept;
  boot_instant boot_;
  std::int64_t wall_ms_ = 0;
};

/// `now + budget`, without overflow for any budget; a negative budget is none.
constexpr instant deadline_after(instant now, std::chrono::milliseconds budget) noexcept {
  if (budget <= std::chrono::milliseconds{0})
    return now;
  auto room = std::chrono::floor<std::chrono::milliseconds>(instant::max() - now);
  return budget < room ? now + budget : instant::max();
}

/// Whole milliseconds until `deadline`, rounded down so that nobody downstream works longer than
/// we wait; 0 = passed or as good as. This is what travels on a wire.
constexpr std::uint64_t remaining_ms(instant deadline, instant now) noexcept {
  if (deadline <= now)
    return 0;
  return static_cast<std::uint64_t>(
    std::chrono::floor<std::chrono::milliseconds>(deadline - now).count());
}

/// The deadline of a leg: its own cap or what is left of the whole, whichever ends first.
constexpr instant leg_deadline(instant whole, instant now,
                               std::chrono::milliseconds cap) noexcept {
  auto own = deadline_after(now, cap);
  return own < whole ? own : whole;
}

} // namespace ron::core
