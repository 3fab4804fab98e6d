#pragma once

#include "core/actor/message_tag.hpp"

#include <caf/actor.hpp>
#include <caf/actor_cast.hpp>
#include <caf/actor_control_block.hpp>

#include <utility>

namespace ron::core {

/// The way into one actor for another of the same family: a strong reference through which things
/// are handed over in place, as a socket hands over its bytes, instead of in a message. A hand-over
/// costs a few nanoseconds; a message costs an allocation, a mailbox and a turn of the run queue.
///
/// For an actor and its children, which live on one shard (see `spawn_port`), and for what must be
/// quick. Everything else is a message: whoever is handed something does his work on the time of
/// whoever hands it over, and gets it before the messages that already wait for him.
///
///     port<thing_self> child = spawn_port(self, make_thing);      // the parent
///     child.hand(event, [](thing_self it, event_type& e) { it->state.take(e); });
///
/// `Self` is `actor_self<...>` or `dynamic_self<...>`. Copies share. Only the shard of the actor
/// may use it, for more than holding it.
template <class Self>
class port {
public:
  port() noexcept = default;
  /// The way into `self`, made by the actor itself or by whoever spawned it.
  explicit port(Self self) noexcept : control_(self->ctrl()), self_(self) {
    // nop
  }

  /// Runs `receive(self, what)` now, as the actor, between two of its messages; counted as one
  /// message out of the actor that runs, and one of the type of `what` in. False if the actor has
  /// ended, before or by it: it has taken nothing then, or its last.
  ///
  /// - An actor that was never resumed is initialised first.
  /// - While the actor is running already, further up this stack, `receive` is called within
  ///   whatever it does there: leave what it may be looking at to a later turn.
  /// - An exception out of `receive` ends the actor with `ec::internal`, and nobody else.
  /// - The port must outlive the call: it keeps the actor.
  /// - Throws std::logic_error on another shard.
  template <class T, class F>
  bool hand(T& what, F&& receive) const {
    return self_ && self_->hand(message_tag::of_type<T>(), [&] { receive(self_, what); });
  }

  /// True on the shard of the actor: it may be handed something.
  bool is_here() const noexcept { return self_ && self_->is_here(); }

  /// True if it is here and nothing runs as the actor: nothing of it is in the middle of something.
  bool is_free() const noexcept { return is_here() && self_->is_at_rest(); }

  /// The actor's handle, for messages. `Handle` is its own type.
  template <class Handle = caf::actor>
  Handle handle() const {
    return caf::actor_cast<Handle>(control_);
  }

  explicit operator bool() const noexcept { return self_ != nullptr; }

private:
  caf::strong_actor_ptr control_;
  Self self_ = nullptr;
};

} // namespace ron::core
