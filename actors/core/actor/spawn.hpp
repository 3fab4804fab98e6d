#pragma once

#include "core/actor/homed.hpp"
#include "core/actor/port.hpp"

#include <caf/infer_handle.hpp>
#include <caf/local_actor.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

namespace ron::core {

/// How to spawn. All defaults are right for most actors: `spawn_on(shard, {}, make_thing, ...)`.
struct spawn_options {
  std::uint64_t parent = 0;  ///< id of the parent for the tree; 0 = the actor that runs now
  std::uint32_t bound = 0;   ///< of the mailbox; 0 = what `mailbox_bounds` says for the type
  std::source_location site = std::source_location::current(); ///< shown by the inspector
};

namespace detail {

/// Keeps function and arguments until the actor initialises itself on its own shard. Move-only
/// arguments are fine; each is handed to the function once.
template <class Impl, class F, class... Ts>
auto initializer(F fun, Ts&&... args) {
  return [fun = std::move(fun), args = std::tuple<std::decay_t<Ts>...>(std::forward<Ts>(args)...)](
           caf::local_actor* self) mutable -> caf::behavior {
    auto call = [&](auto&... xs) { return fun(static_cast<Impl*>(self), std::move(xs)...); };
    if constexpr (std::is_void_v<decltype(std::apply(call, args))>) {
      std::apply(call, args);
      return {};
    } else {
      auto result = std::apply(call, args);
      if constexpr (std::is_same_v<decltype(result), caf::behavior>)
        return result;
      else
        return std::move(result.unbox());
    }
  };
}

template <class F, class... Ts>
auto spawn(caf::actor_system& system, shard* where, const spawn_options& how, F fun,
           Ts&&... args) {
  using impl = caf::infer_impl_from_fun_t<F>;
  caf::actor_config config{where};
  using init_fun = caf::actor_config::init_fun_type;
  config.init_fun
    = init_fun{detail::initializer<impl>(std::move(fun), std::forward<Ts>(args)...)};
  spawn_scope scope{how.parent, how.bound, how.site};
  return system.spawn_class<impl, caf::no_spawn_options>(config);
}

} // namespace detail

/// Spawns on `where` the actor that `fun` describes: `Handle::behavior_type fun(actor_self<Handle,
/// State> self, args...)`. Returns its handle. `fun` runs later, on that shard. Any thread.
template <class F, class... Ts>
auto spawn_on(shard& where, spawn_options how, F fun, Ts&&... args) {
  return detail::spawn(where.system(), &where, how, std::move(fun), std::forward<Ts>(args)...);
}

/// The spawning actor and the place in its source; made by the call of `spawn_here`.
struct spawner {
  spawner(caf::local_actor* a, std::source_location at = std::source_location::current()) noexcept
    : self(a), site(at) {
    // nop
  }
  caf::local_actor* self;
  std::source_location site;
};

/// Spawns a child of `by` on the same shard. Use it for what belongs to one connection or one
/// request: the family talks without crossing threads. The actor itself.
template <class F, class... Ts>
auto spawn_here(spawner by, F fun, Ts&&... args) {
  auto& system = by.self->home_system();
  return detail::spawn(system, detail::settle(system, by.self->context()),
                       spawn_options{by.self->id(), 0, by.site}, std::move(fun),
                       std::forward<Ts>(args)...);
}

/// As `spawn_here`, for a child that its parent hands things to in place; returns the way into it.
template <class F, class... Ts>
auto spawn_port(spawner by, F fun, Ts&&... args) {
  using impl = caf::infer_impl_from_fun_t<F>;
  auto handle = spawn_here(by, std::move(fun), std::forward<Ts>(args)...);
  return port{static_cast<impl*>(caf::actor_cast<caf::abstract_actor*>(handle))};
}

/// Where a replica of a role is to live.
struct replica_place {
  caf::actor_system& system;
  shard* where;       ///< null when the system does not run on shards (tests)
  std::size_t slot;   ///< index of the shard; 0 without shards
};

/// Spawns the replica of a role at its place; what a role's factory calls. Any thread.
template <class F, class... Ts>
auto spawn_at(const replica_place& place, spawn_options how, F fun, Ts&&... args) {
  return detail::spawn(place.system, place.where, how, std::move(fun), std::forward<Ts>(args)...);
}

/// Spawns on the next shard in turn, or on whatever scheduler `system` has (tests). Any thread.
template <class F, class... Ts>
auto spawn_in(caf::actor_system& system, spawn_options how, F fun, Ts&&... args) {
  auto* all = shards::find(system);
  return detail::spawn(system, all ? &all->next() : nullptr, how, std::move(fun),
                       std::forward<Ts>(args)...);
}

} // namespace ron::core
