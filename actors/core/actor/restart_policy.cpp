#include "core/actor/restart_policy.hpp"

#include <algorithm>

namespace ron::core {

std::optional<std::chrono::milliseconds> restart_policy::on_death(instant now) {
  while (!deaths_.empty() && now - deaths_.front() >= limits_.window)
    deaths_.pop_front();
  deaths_.push_back(now);
  if (deaths_.size() >= limits_.deaths_max)
    return std::nullopt;
  auto longest = limits_.base;
  for (std::size_t i = 1; i < deaths_.size() && longest < limits_.cap; ++i)
    longest *= 2;
  longest = std::min(longest, limits_.cap);
  auto half = longest.count() / 2;
  auto jitter = next_random() % static_cast<std::uint64_t>(longest.count() - half + 1);
  return std::chrono::milliseconds{half + static_cast<std::chrono::milliseconds::rep>(jitter)};
}

// SplitMix64: tiny, and good enough to spread restarts.
std::uint64_t restart_policy::next_random() noexcept {
  auto z = (random_ += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

} // namespace ron::core
