#pragma once

#include <caf/fwd.hpp>

namespace ron::core {

template <class Base>
class bounded;
template <class Base>
class homed;

/// What the actors of connections and streams have in common, whatever their state; `self` of one
/// that takes any message. Complete with `core/actor/actor.hpp`: a name for those who only pass it
/// on.
using any_actor = homed<bounded<caf::event_based_actor>>;

} // namespace ron::core
