#include "core/actor/activity.hpp"

#include "core/actor/shard.hpp"

#include <chrono>

namespace ron::core {

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

} // namespace ron::core
