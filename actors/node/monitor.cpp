#include "node/monitor.hpp"

#include "core/log.hpp"

namespace ron::node {

namespace {

constexpr std::chrono::milliseconds period{250};
constexpr std::uint32_t looks_a_second = 4;

void show(monitor_self self) {
  auto& st = self->state;
  const auto now = st.machine.state();
  const auto missing = st.machine.missing();
  st.parts.state->set(now, missing);
  std::string names;
  for (const auto& name : missing)
    names += (names.empty() ? "" : " ") + name;
  if (const auto refuses = st.machine.refuses_writes();
      refuses != st.refusing || (refuses && names != st.missing)) {
    st.refusing = refuses;
    st.missing = names;
    st.parts.refuse_writes(refuses, names);
  }
  if (now == st.shown)
    return;
  core::log::info("node", "readiness changed",
                  {{"from", to_string(st.shown)}, {"to", to_string(now)}, {"missing", names}});
  st.shown = now;
}

void look(monitor_self self) {
  auto& st = self->state;
  st.machine.sample(st.parts.keys(), st.parts.pressure(), st.parts.take_shed(),
                    st.parts.clock->now());
  show(self);
  if (auto step = st.steps->observe(*st.parts.clock))
    core::log::warn("node", "the wall clock was set", {{"step_ms", *step}});
  if (++st.looks % looks_a_second == 0)
    st.parts.every_second();
}

} // namespace

monitor_actor::behavior_type make_monitor(monitor_self self, monitor_parts parts) {
  self->state.parts = std::move(parts);
  self->state.steps.emplace(*self->state.parts.clock);
  look(self);
  self->delayed_send(self, period, atom::tick_v);
  return {
    [self](atom::tick) {
      look(self);
      self->delayed_send(self, period, atom::tick_v);
    },
    [self](atom::drain) {
      self->state.machine.drain();
      show(self);
      return atom::ok_v;
    },
  };
}

} // namespace ron::node
