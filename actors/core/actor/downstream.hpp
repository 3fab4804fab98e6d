#pragma once

#include "core/actor/semaphore.hpp"

#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace ron::core {

namespace detail {

/// What a pending call keeps: released before the caller goes on, freed with the last handler.
template <class OnValue, class OnError>
struct call_state {
  OnValue on_value;
  OnError on_error;
  permit held;

  void fail(error e) {
    held.release();
    on_error(std::move(e));
  }
};

/// A response handler with exactly the parameters of `OnValue`, as CAF wants it.
template <class State, class Args>
struct value_handler;

template <class State, class... Args>
struct value_handler<State, caf::detail::type_list<Args...>> {
  std::shared_ptr<State> state;
  void operator()(Args... args) const {
    state->held.release();
    state->on_value(std::forward<Args>(args)...);
  }
};

} // namespace detail

/// Requests to one role under one semaphore (an empty semaphore is no limit). Every call ends in
/// exactly one of its two handlers, at the latest when its deadline passes, unless the calling
/// actor ends first.
///
///     storage.call(self, deadline, atom::get_v, cid)
///       .then([=](const core::bytes& data) { ... },
///             [=](core::error e) { ... });
///
/// `self` is any event-based actor, typed or not. Copies share; use it on the shard of `self`.
template <class Handle>
class downstream {
public:
  downstream() = default;
  downstream(role_ref<Handle> role, semaphore permits)
    : role_(std::move(role)), permits_(std::move(permits)) {
    // nop
  }

  /// A call that is about to be made.
  template <class Self, class... Ts>
  class prepared;

  /// Prepares a request of `message...`; nothing happens before `then`.
  template <class Self, class... Ts>
  prepared<Self, std::decay_t<Ts>...> call(Self* self, instant deadline, Ts&&... message) const {
    return {*this, self, deadline, work_step::first, std::forward<Ts>(message)...};
  }

  /// As `call`, for a further request of work that has begun: waits for its permit where a first
  /// request is refused because many wait already.
  template <class Self, class... Ts>
  prepared<Self, std::decay_t<Ts>...> further(Self* self, instant deadline,
                                              Ts&&... message) const {
    return {*this, self, deadline, work_step::further, std::forward<Ts>(message)...};
  }

  const role_ref<Handle>& role() const noexcept { return role_; }
  const semaphore& permits() const noexcept { return permits_; }

private:
  role_ref<Handle> role_;
  semaphore permits_;
};

template <class Handle>
template <class Self, class... Ts>
class downstream<Handle>::prepared {
public:
  template <class... Us>
  prepared(const downstream& target, Self* self, instant deadline, work_step step,
           Us&&... message)
    : target_(target),
      self_(self),
      deadline_(deadline),
      step_(step),
      message_(std::forward<Us>(message)...) {
    // nop
  }

  /// Makes the call: takes a permit (waiting for it in line if need be), requests with the time
  /// that is left, releases the permit, calls one handler. `on_value` takes the response's types
  /// (no generic lambda); `on_error` takes a `core::error`: degraded at once while the role or
  /// its semaphore is down, busy when the line is full, downstream_timeout at the deadline, else
  /// what the downstream answered.
  template <class OnValue, class OnError>
  void then(OnValue on_value, OnError on_error) && {
    using state_type = detail::call_state<OnValue, OnError>;
    auto state = std::make_shared<state_type>(std::move(on_value), std::move(on_error), permit{});
    if (self_->clock().now() >= deadline_)
      return state->fail({ec::downstream_timeout, "no time left for the downstream"});
    if (!target_.role_.get())
      return state->fail(unavailable());
    state->held = target_.permits_.try_acquire();
    if (state->held || !target_.permits_)
      return send(target_.role_, self_, deadline_, std::move(message_), std::move(state));
    wait(std::move(state));
  }

private:
  static error unavailable() { return {ec::degraded, "the downstream is not available"}; }

  template <class State>
  static void send(const role_ref<Handle>& role, Self* self, instant deadline,
                   std::tuple<Ts...> message, std::shared_ptr<State> state) {
    auto target = role.get();
    if (!target)
      return state->fail(unavailable());
    using on_value = std::decay_t<decltype(state->on_value)>;
    using args = typename caf::detail::get_callable_trait<on_value>::arg_types;
    auto timeout = timeout_until(deadline, self->clock().now());
    std::apply(
      [&](auto&... xs) {
        self->request(target, timeout, std::move(xs)...)
          .then(detail::value_handler<State, args>{state},
                [state](const caf::error& e) { state->fail(to_error(e)); });
      },
      message);
  }

  template <class State>
  void wait(std::shared_ptr<State> state) {
    auto line = target_.permits_.here();
    if (!line)
      return state->fail(unavailable());
    auto self = self_;
    auto deadline = deadline_;
    auto timeout = timeout_until(deadline, self->clock().now());
    auto message = std::make_shared<std::tuple<Ts...>>(std::move(message_));
    self->request(line, timeout, atom::acquire_v, deadline, step_)
      .then(
        [=, role = target_.role_](const permit_grant& grant) {
          state->held = std::move(*grant.held);
          send(role, self, deadline, std::move(*message), state);
        },
        [state](const caf::error& e) { state->fail(to_error(e)); });
  }

  const downstream& target_;
  Self* self_;
  instant deadline_;
  work_step step_;
  std::tuple<Ts...> message_;
};

} // namespace ron::core
