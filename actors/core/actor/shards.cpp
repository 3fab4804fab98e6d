#include "core/actor/shards.hpp"

#include "core/actor/shard_clock.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scheduled_actor.hpp>

#include <algorithm>
#include <thread>

namespace ron::core {

namespace {

constexpr std::size_t default_throughput = 64;

bool is_actor(const caf::resumable* what) {
  auto type = what->subtype();
  return type == caf::resumable::scheduled_actor || type == caf::resumable::io_actor;
}

// Where actors go that are woken while leftovers are discarded.
class collecting_unit final : public caf::execution_unit {
public:
  using caf::execution_unit::execution_unit;
  void exec_later(caf::resumable* what) override { woken.push_back(what); }
  std::vector<caf::resumable*> woken;
};

} // namespace

shards::shards(caf::actor_system& system)
  : abstract_coordinator(system), foreign_clock_(std::make_unique<foreign_clock>(*this)) {
  // nop
}

shards::~shards() = default;

shards& shards::of(caf::actor_system& system) {
  return static_cast<shards&>(system.scheduler());
}

shards* shards::find(caf::actor_system& system) noexcept {
  return dynamic_cast<shards*>(&system.scheduler());
}

shard& shards::next() noexcept {
  return at(next_worker_.fetch_add(1, std::memory_order_relaxed) % size());
}

shard& shards::current_or_next() noexcept {
  auto* here = shard::current();
  return here && &here->owner() == this ? *here : next();
}

// -- module ------------------------------------------------------------------------------

void shards::init(caf::actor_system_config& config) {
  abstract_coordinator::init(config);
  // CAF's own defaults are at least four workers and unlimited throughput.
  auto cores = std::max(1u, std::thread::hardware_concurrency());
  num_workers_ = std::max<std::size_t>(
    1, caf::get_or(config, "scheduler.max-threads", std::size_t{cores}));
  max_throughput_ = std::max<std::size_t>(
    1, caf::get_or(config, "scheduler.max-throughput", default_throughput));
  for (std::size_t i = 0; i < num_workers_; ++i)
    units_.push_back(std::make_unique<shard>(system(), *this, i));
}

void shards::start() {
  for (auto& unit : units_)
    unit->start();
  abstract_coordinator::start(); // CAF's printer, which sleeps on a thread of its own
}

void shards::stop() {
  stop_actors(); // needs running shards
  for (auto& unit : units_)
    unit->request_stop();
  for (auto& unit : units_)
    unit->join();
  // No shard runs any more. First all inboxes close, then what never ran is discarded, because
  // discarding one actor may wake another one.
  std::vector<caf::resumable*> leftovers;
  for (auto& unit : units_)
    unit->close(leftovers);
  for (auto* what : leftovers)
    discard(what);
  for (auto& unit : units_)
    unit->destroy_io();
}

caf::actor_clock& shards::clock() noexcept {
  auto* here = shard::current();
  if (here && &here->owner() == this)
    return here->clock();
  return *foreign_clock_;
}

// -- placement -----------------------------------------------------------------------------

shard* shards::own(caf::execution_unit* unit) noexcept {
  auto found = std::ranges::find(units_, unit, [](auto& u) -> caf::execution_unit* {
    return u.get();
  });
  return found == units_.end() ? nullptr : found->get();
}

// The context is written only while the actor runs, and we are asked exactly once for each change
// from blocked to ready: the mailbox orders the two.
shard* shards::home(caf::resumable* what, shard* here) noexcept {
  if (!is_actor(what))
    return nullptr;
  auto* unit = static_cast<caf::scheduled_actor*>(what)->context();
  return here && unit == here ? here : own(unit);
}

void shards::route(caf::resumable* what, shard* hint) {
  auto* here = shard::current();
  if (here && &here->owner() != this)
    here = nullptr;
  auto* to = home(what, here);
  if (!to)
    to = hint ? hint : here ? here : &next();
  if (to == here)
    here->push_local(what);
  else if (here)
    here->push_remote(*to, what);
  else if (!to->push_foreign({&what, 1}))
    discard(what);
}

// Ends what can no longer run, and what wakes up by that: CAF's own helper would lose the latter.
void shards::discard(caf::resumable* what) {
  if (!is_actor(what)) {
    caf::intrusive_ptr_release(what);
    return;
  }
  collecting_unit unit{&static_cast<caf::scheduled_actor*>(what)->home_system()};
  unit.woken.push_back(what);
  while (!unit.woken.empty()) {
    auto* next = unit.woken.back();
    unit.woken.pop_back();
    if (is_actor(next))
      static_cast<caf::scheduled_actor*>(next)->cleanup(
        caf::make_error(caf::exit_reason::user_shutdown), &unit);
    caf::intrusive_ptr_release(next);
  }
}

} // namespace ron::core
