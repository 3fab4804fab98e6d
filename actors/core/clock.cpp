#include "core/clock.hpp"

#include <ctime>

namespace ron::core {

namespace {

std::int64_t read_ns(clockid_t id) noexcept {
  timespec t{};
  ::clock_gettime(id, &t); // cannot fail for the three clocks used here
  return static_cast<std::int64_t>(t.tv_sec) * 1'000'000'000 + t.tv_nsec;
}

} // namespace

instant system_clock::now() const noexcept {
  return std::chrono::steady_clock::now();
}

boot_instant system_clock::boot_now() const noexcept {
  return boot_instant{std::chrono::nanoseconds{read_ns(CLOCK_BOOTTIME)}};
}

std::int64_t system_clock::wall_ms() const noexcept {
  return read_ns(CLOCK_REALTIME) / 1'000'000;
}

std::optional<std::chrono::milliseconds> wall_step_detector::observe(const clock& c) noexcept {
  auto passed
    = std::chrono::duration_cast<std::chrono::milliseconds>(c.boot_now() - boot_).count();
  auto step = std::chrono::milliseconds{c.wall_ms() - wall_ms_ - passed};
  if (step <= tolerance && step >= -tolerance)
    return std::nullopt;
  rebase(c);
  return step;
}

void wall_step_detector::rebase(const clock& c) noexcept {
  boot_ = c.boot_now();
  wall_ms_ = c.wall_ms();
}

} // namespace ron::core
