#include "core/actor/supervisor.hpp"

#include <algorithm>

namespace ron::core {

namespace {

using self_type = actor_self<supervisor_actor, supervisor_state>;

replica_place place_of(self_type self, std::size_t slot) {
  auto* all = shards::find(self->system());
  return {self->system(), all ? &all->at(slot) : nullptr, slot};
}

void start_replica(self_type self, std::size_t slot) {
  auto& st = self->state;
  auto replica = st.plan.make(place_of(self, slot));
  self->monitor(replica);
  st.replicas[slot] = replica->address();
  st.plan.table->point(slot, std::move(replica));
}

void quit_when_alone(self_type self) {
  auto gone = [](const caf::actor_addr& a) { return a == nullptr; };
  if (std::ranges::all_of(self->state.replicas, gone))
    self->quit();
}

void on_down(self_type self, const caf::down_msg& down) {
  auto& st = self->state;
  auto found = std::ranges::find(st.replicas, down.source);
  if (found == st.replicas.end())
    return;
  auto slot = static_cast<std::size_t>(found - st.replicas.begin());
  *found = nullptr;
  st.plan.table->point(slot, nullptr);
  if (st.stopping)
    return quit_when_alone(self);
  if (auto pause = st.policy->on_death(self->clock().now()))
    self->delayed_send(self, *pause, atom::restart_v, std::uint64_t{slot});
  else if (auto give_up = std::exchange(st.plan.give_up, nullptr))
    give_up(st.plan.name, down.reason);
}

void end_replicas(const supervisor_state& st) {
  for (const auto& replica : st.replicas)
    end(caf::actor_cast<caf::strong_actor_ptr>(replica), caf::exit_reason::user_shutdown);
}

void on_exit(self_type self) {
  self->state.stopping = true;
  end_replicas(self->state);
  quit_when_alone(self);
}

} // namespace

supervisor_state::~supervisor_state() {
  end_replicas(*this);
}

supervisor_actor::behavior_type make_supervisor(self_type self, role_plan plan) {
  auto& st = self->state;
  st.plan = std::move(plan);
  auto seed = static_cast<std::uint64_t>(self->clock().now().time_since_epoch().count());
  st.policy.emplace(st.plan.limits, seed ^ self->id());
  st.replicas.resize(st.plan.table->size());
  self->set_down_handler([self](caf::down_msg& down) { on_down(self, down); });
  self->set_exit_handler([self](caf::exit_msg&) { on_exit(self); });
  for (std::size_t slot = 0; slot < st.replicas.size(); ++slot)
    start_replica(self, slot);
  return {
    [self](atom::restart, std::uint64_t slot) {
      auto& state = self->state;
      if (!state.stopping && slot < state.replicas.size() && !state.replicas[slot])
        start_replica(self, slot);
    },
  };
}

} // namespace ron::core
