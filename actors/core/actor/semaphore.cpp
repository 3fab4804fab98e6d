#include "core/actor/semaphore.hpp"

#include "core/actor/semaphore_actor.hpp"

#include <algorithm>
#include <utility>

namespace ron::core {

// -- core ------------------------------------------------------------------------------

std::optional<std::size_t> semaphore::core::oldest() const noexcept {
  std::optional<std::size_t> found;
  auto lowest = nobody;
  for (std::size_t i = 0; i < fronts.size(); ++i)
    if (auto ticket = fronts[i].ticket.load(std::memory_order_acquire); ticket < lowest) {
      lowest = ticket;
      found = i;
    }
  return found;
}

// When no front is published although somebody was counted, that somebody has just left: the count
// has changed since we read it, so looking again makes progress.
void semaphore::core::wake_oldest() {
  while (pool->must_wake()) {
    auto slot = oldest();
    if (!slot)
      continue;
    if (!fronts[*slot].woken.exchange(true, std::memory_order_seq_cst))
      if (auto line = caf::actor_cast<semaphore_actor>(lines->at(*slot)))
        caf::anon_send<caf::message_priority::high>(line, atom::wake_v);
    return;
  }
}

// -- semaphore -------------------------------------------------------------------------

semaphore semaphore::start(caf::actor_system& system, std::string name, std::uint32_t permits,
                           std::function<void(const std::string&, const caf::error&)> give_up) {
  return start(system, std::move(name), permits, 2 * permits, std::move(give_up));
}

semaphore semaphore::start(caf::actor_system& system, std::string name, std::uint32_t permits,
                           std::uint32_t waiters_max,
                           std::function<void(const std::string&, const caf::error&)> give_up) {
  auto shared = std::make_shared<core>(role_table::make(system), permits, waiters_max);
  shared->listen();
  // Who has room in the line must not be refused by the mailbox on the way to it.
  constexpr auto bound = limits::mailbox_bound_max;
  role_plan plan{std::move(name),
                 [shared](const replica_place& place) {
                   return caf::actor_cast<caf::strong_actor_ptr>(
                     spawn_at(place, {.bound = bound}, make_semaphore, shared, place.slot));
                 },
                 shared->lines, restart_limits{}, std::move(give_up)};
  shared->supervisor = spawn_in(system, {}, make_supervisor, std::move(plan));
  return semaphore{std::move(shared)};
}

permit semaphore::try_acquire() const noexcept {
  return core_ ? core_->pool->try_acquire() : permit{};
}

semaphore_actor semaphore::here() const {
  return core_ ? caf::actor_cast<semaphore_actor>(core_->lines->here()) : semaphore_actor{};
}

bool semaphore::ready() const {
  return !core_ || core_->lines->complete();
}

semaphore_stats semaphore::stats() const noexcept {
  if (!core_)
    return {};
  const auto& pool = *core_->pool;
  return {.permits = pool.permits(),
          .in_use = pool.in_use(),
          .waiters_max = pool.waiters_max(),
          .waiting = pool.waiting(),
          .waited = core_->waited.load(std::memory_order_relaxed),
          .shed = core_->shed.load(std::memory_order_relaxed),
          .timed_out = core_->timed_out.load(std::memory_order_relaxed)};
}

void semaphore::set(std::uint32_t permits, std::uint32_t waiters_max) const {
  if (!core_)
    return;
  core_->pool->set(permits, waiters_max);
  core_->wake_oldest();
}

void semaphore::stop() {
  if (core_)
    end(core_->supervisor);
}

supervisor_actor semaphore::supervisor() const {
  return core_ ? core_->supervisor : supervisor_actor{};
}

} // namespace ron::core
