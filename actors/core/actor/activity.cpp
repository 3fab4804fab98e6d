#include "core/actor/activity.hpp"

#include "core/actor/shard.hpp"

#include <time.h>

#include <chrono>
#include <utility>

namespace ron::core {

namespace {

std::int64_t coarse_now() noexcept {
  timespec t{};
  ::clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
  return std::int64_t{1'000'000'000} * t.tv_sec + t.tv_nsec;
}

} // namespace

instant activity_start() noexcept {
  auto* here = shard::current();
  return here ? here->turn_time() : std::chrono::steady_clock::now();
}

activity::~activity() {
  auto end = std::chrono::steady_clock::now();
  probe::bump(probe_.busy_ns, static_cast<std::uint64_t>((end - start_).count()));
  probe_.running_since.store(0, std::memory_order_relaxed);
  probe::running() = outer_;
  if (auto* here = shard::current())
    here->turn_time(end);
}

brief_activity::brief_activity(probe& p) noexcept
  : probe_(p), outer_(std::exchange(probe::running(), &p)), start_(coarse_now()) {
  // Before the first turn of a shard there is no turn_time, and 0 means that it does not run.
  const auto since = activity_start().time_since_epoch().count();
  p.running_since.store(since != 0 ? since : start_, std::memory_order_relaxed);
}

brief_activity::~brief_activity() {
  if (const auto took = coarse_now() - start_; took != 0)
    probe::bump(probe_.busy_ns, static_cast<std::uint64_t>(took));
  probe_.running_since.store(0, std::memory_order_relaxed);
  probe::running() = outer_;
}

} // namespace ron::core
