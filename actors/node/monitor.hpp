#pragma once

#include "core/actor/actor.hpp"
#include "core/clock.hpp"
#include "node/readiness.hpp"
#include "node/status.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ron::node {

/// Looks at the node four times a second.
using monitor_actor = caf::typed_actor<
  // INTERNAL: time for the next look.
  caf::reacts_to<atom::tick>,
  // From now on unready. Answered when everybody can see it.
  caf::replies_to<atom::drain>::with<atom::ok>>;

/// What the monitor looks at and whom it tells. All functions are called on the monitor's shard.
struct monitor_parts {
  std::shared_ptr<status> state;
  const core::clock* clock = nullptr;
  std::function<std::vector<readiness_key>()> keys;
  std::function<double()> pressure;        ///< the fullest node-wide limit, 0..1
  std::function<bool()> take_shed;         ///< true if a request was shed since the last call
  /// From now on, for want of these keys, or no longer; when one of the two changes.
  std::function<void(bool, const std::string& missing)> refuse_writes;
  std::function<void()> every_second;      ///< windows of metrics, suppressed log lines
};

struct monitor_state {
  static constexpr const char* name = "node.monitor";
  monitor_parts parts;
  readiness_machine machine;
  readiness shown = readiness::unready;
  bool refusing = false;
  std::string missing; ///< while refusing, as told
  std::optional<core::wall_step_detector> steps;
  std::uint32_t looks = 0;
};

using monitor_self = core::actor_self<monitor_actor, monitor_state>;

monitor_actor::behavior_type make_monitor(monitor_self self, monitor_parts parts);

} // namespace ron::node
