#pragma once

/// The one header an actor's author includes. An actor is three files:
///
///     messages.hpp   using thing_actor = caf::typed_actor<
///                      caf::replies_to<atom::get, std::string>::with<int>>;   // a line each
///     thing.hpp      struct thing_state { static constexpr const char* name = "part.thing"; ... };
///                    thing_actor::behavior_type make_thing(
///                      core::actor_self<thing_actor, thing_state> self, thing_limits limits);
///     thing.cpp      helpers, then make_thing
///
/// and is spawned by `spawn_on(shard, {}, make_thing, limits)` or, by its parent,
/// `spawn_here(self, make_thing, limits)`. Not by CAF's own `spawn`: it knows neither shard nor
/// bound nor origin, and reads through a null pointer when the function has no arguments.
///
/// Decide in a machine, act in the actor. Every request has a finite deadline and an error
/// branch; every promise is delivered on all paths; every actor quits in the end. Give `request`
/// milliseconds or microseconds, never nanoseconds (CAF counts them in 32 bits): `timeout_until`
/// does. Tear down in the state's destructor: `on_exit` and `name` are final.

#include "core/actor/atoms.hpp"
#include "core/actor/caf_error.hpp"
#include "core/actor/homed.hpp"
#include "core/actor/local_types.hpp"
#include "core/actor/spawn.hpp"
#include "core/actor_fwd.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_actor.hpp>
#include <caf/typed_behavior.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <chrono>

namespace ron::core {

/// `self` of a typed actor with the interface `Handle`.
template <class Handle, class State>
using actor_self = caf::stateful_actor<State, homed<bounded<typename Handle::base>>>*;

/// `self` of an actor that takes any message; for actors that only talk to sockets and their own
/// children, or whose interface is not ours to type.
template <class State>
using dynamic_self = caf::stateful_actor<State, any_actor>*;

/// What is left until `deadline`, as CAF's `request` wants it: at least 1 us (a deadline that has
/// passed times out at once), at most an hour.
std::chrono::microseconds timeout_until(instant deadline, instant now) noexcept;

/// The time, at most one handler old: on a shard it costs nothing to read. The actor itself.
instant recent_time(caf::local_actor* self);

/// Asks an actor to end, ahead of whatever waits in its mailbox. Any thread; null is ignored.
void end(const caf::strong_actor_ptr& who, caf::exit_reason why);
template <class Handle>
void end(const Handle& who, caf::exit_reason why = caf::exit_reason::user_shutdown) {
  end(caf::actor_cast<caf::strong_actor_ptr>(who), why);
}

/// Prepares an actor system's configuration: shards as the scheduler, our errors and message
/// types. Before the system is made.
void configure_actors(caf::actor_system_config& config);

} // namespace ron::core
