#pragma once

#include "core/actor/answer.hpp"

namespace ron::core {

/// The way into a replica of a role for requests from its own shard, which it serves in place: a
/// role that is asked as often as the wire brings something has one beside its mailbox. It is an
/// interface of the role with a function for each kind of request that is served so:
///
///     class thing_door : public core::door {
///     public:
///       virtual bool takes(const get_thing& m) const = 0;
///       virtual void serve(get_thing& m, core::answer_to<thing> to) = 0;
///     };
///     template <> struct core::door_of<thing_actor> { using type = thing_door; };
///
/// What is not taken has to come as a message: it is about something that lives on another shard.
/// The replica enters its door with `role_table::open_door`; `downstream` uses it. The semaphore in
/// front of the role bounds what it serves: a permit is held until the answer. The shard of the
/// replica.
class door {
public:
  virtual ~door() = default;
  /// False while the replica runs: whoever wants something then, wants it from within the
  /// replica's own doing, and sends a message.
  virtual bool is_free() const noexcept = 0;
};

/// The door of a role; void if it has none.
template <class Handle>
struct door_of {
  using type = void;
};

} // namespace ron::core
