#pragma once

#include "core/clock.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace ron::core {

/// How often and how fast a role may be restarted.
struct restart_limits {
  std::chrono::milliseconds base{50};       ///< first back-off, doubled by each further death
  std::chrono::milliseconds cap{2'000};     ///< longest back-off
  std::chrono::milliseconds window{60'000}; ///< deaths older than this are forgotten
  std::size_t deaths_max = 3;               ///< so many within the window: give up
};

/// Decides what follows the death of a replica. Pure; one thread.
class restart_policy {
public:
  /// `seed` makes the jitter differ between nodes and repeatable in tests.
  restart_policy(restart_limits limits, std::uint64_t seed) noexcept
    : limits_(limits), random_(seed) {
    // nop
  }

  /// A replica died at `now`. Returns the back-off before it is started again, uniformly between
  /// half and all of base * 2^(deaths in the window - 1), at most `cap`; none = the role gives up.
  std::optional<std::chrono::milliseconds> on_death(instant now);

  /// Deaths within the window that ends now.
  std::size_t deaths() const noexcept { return deaths_.size(); }

private:
  std::uint64_t next_random() noexcept;

  restart_limits limits_;
  std::uint64_t random_;
  std::deque<instant> deaths_; ///< at most `deaths_max`
};

} // namespace ron::core
