#pragma once

#include "core/actor/actor.hpp"
#include "core/actor/restart_policy.hpp"
#include "core/actor/role_ref.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace ron::core {

/// Keeps one replica of a role alive on every shard. `end` stops a role: the supervisor ends its
/// replicas, waits for them, and quits.
using supervisor_actor = caf::typed_actor<
  // INTERNAL: the back-off of slot i is over.
  caf::reacts_to<atom::restart, std::uint64_t>>;

/// Makes the replica of a role for one place: usually one `spawn_at`. Called on the supervisor's
/// shard, anew for each restart.
using replica_factory = std::function<caf::strong_actor_ptr(const replica_place&)>;

/// What a supervisor supervises.
struct role_plan {
  std::string name;                  ///< for logs and the give-up message, e.g. "index.resolver"
  replica_factory make;
  std::shared_ptr<role_table> table;
  restart_limits limits{};
  /// Called once when the role dies too often; takes the node down. Any shard. Required.
  std::function<void(const std::string& name, const caf::error& last)> give_up;
};

struct supervisor_state {
  static constexpr const char* name = "core.supervisor";
  ~supervisor_state(); ///< whatever ends a supervisor ends its replicas
  role_plan plan;
  std::optional<restart_policy> policy;
  std::vector<caf::actor_addr> replicas; ///< by slot; null while there is none
  bool stopping = false;
};

supervisor_actor::behavior_type make_supervisor(
  actor_self<supervisor_actor, supervisor_state> self, role_plan plan);

/// A running role: what callers use and what ends it.
template <class Handle>
struct role {
  role_ref<Handle> ref;
  supervisor_actor supervisor;
};

/// Starts a role: spawns a supervisor and, by it, a replica on every shard. `make` is called with
/// the place and returns a `Handle`. `ref.ready()` turns true when all replicas are in place.
template <class Handle, class Make>
role<Handle> supervise(caf::actor_system& system, std::string name, Make make,
                       std::function<void(const std::string&, const caf::error&)> give_up,
                       restart_limits limits = {},
                       std::source_location site = std::source_location::current()) {
  role_plan plan{std::move(name),
                 [make = std::move(make)](const replica_place& place) {
                   return caf::actor_cast<caf::strong_actor_ptr>(Handle{make(place)});
                 },
                 role_table::make(system), limits, std::move(give_up)};
  role_ref<Handle> ref{plan.table};
  auto supervisor = spawn_in(system, {.site = site}, make_supervisor, std::move(plan));
  return {std::move(ref), std::move(supervisor)};
}

} // namespace ron::core
