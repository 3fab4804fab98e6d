#include "core/actor/homed.hpp"

#include "core/actor/job_item.hpp"

#include <stdexcept>

namespace ron::core::detail {

shard* settle(caf::actor_system& system, caf::execution_unit* spawned_on) noexcept {
  auto* all = shards::find(system);
  if (!all)
    return nullptr;
  if (auto* chosen = dynamic_cast<shard*>(spawned_on))
    return chosen;
  return &all->current_or_next();
}

void run_later(caf::actor_system& system, job f) {
  system.scheduler().enqueue(new job_item(std::move(f), nullptr));
}

void throw_homeless() {
  throw std::logic_error("this actor system does not run on shards");
}

void throw_foreign() {
  throw std::logic_error("a hand-over to an actor of another shard");
}

} // namespace ron::core::detail
