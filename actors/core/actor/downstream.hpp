#pragma once

#include "core/actor/semaphore.hpp"
#include "core/actor/timed_call.hpp"

#include <concepts>
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

  /// Within the caller.
  void fail_now(error e) {
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

/// What the value handler of a call takes first.
template <class OnValue>
using answer_of = std::decay_t<typename caf::detail::tl_head<
  typename caf::detail::get_callable_trait<OnValue>::arg_types>::type>;

/// True if the role `Handle` serves `Ts...` in place, and `Self` can be answered so.
template <class Handle, class Self, class Answer, class... Ts>
concept served_in_place = sizeof...(Ts) == 1 && std::derived_from<Self, any_actor>
                          && requires(typename door_of<Handle>::type* d, Ts&... m) {
                               { d->takes(m...) } -> std::same_as<bool>;
                               d->serve(m..., answer_to<Answer>{});
                             };

/// A call that is made in place, or by a message when that cannot be. The role holds it until it
/// answers, the shard until its deadline.
template <class OnValue, class OnError>
class placed_call final
  : public call_state<OnValue, OnError>,
    public pending_answer<answer_of<OnValue>>,
    public timed_call,
    public std::enable_shared_from_this<placed_call<OnValue, OnError>> {
public:
  using value_type = answer_of<OnValue>;

  placed_call(OnValue on_value, OnError on_error)
    : call_state<OnValue, OnError>{std::move(on_value), std::move(on_error), {}} {
    // nop
  }

  /// From now on `self` waits for the answer.
  answer_to<value_type> place(any_actor* self, instant deadline) {
    keep_ = caf::strong_actor_ptr{self->ctrl()};
    self_ = self;
    timer_ = self->home().time_call(deadline, this->shared_from_this());
    return answer_to<value_type>{this->shared_from_this()};
  }

  void deliver(value_type value) override {
    if (!take())
      return;
    auto handlers = release();
    self_->hand(message_tag::of_type<value_type>(), [&] { handlers.first(std::move(value)); });
  }
  void fail(error why) override {
    if (!take())
      return;
    auto handlers = release();
    self_->hand(message_tag::of_type<error>(), [&] { handlers.second(std::move(why)); });
  }
  void drop() noexcept override {
    if (self_ && self_->is_here())
      fail({ec::degraded, "the downstream has ended"});
  }
  void expire() override {
    timer_ = call_timers::none;
    fail({ec::downstream_timeout, "no answer from the downstream in time"});
  }

private:
  /// False if it was answered before.
  bool take() {
    if (!self_ || std::exchange(over_, true))
      return false;
    if (timer_ != call_timers::none)
      self_->home().forget_call(std::exchange(timer_, call_timers::none));
    this->held.release();
    return true;
  }
  /// The role may hold this longer than anybody waits: what the handlers keep goes with them.
  std::pair<OnValue, OnError> release() {
    return {std::move(this->on_value), std::move(this->on_error)};
  }

  caf::strong_actor_ptr keep_;
  any_actor* self_ = nullptr;
  call_timers::handle timer_ = call_timers::none;
  bool over_ = false;
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
///
/// A role with a door (`door.hpp`) is asked in place by an `any_actor` if its replica is free, and
/// answers in place: a handler may run before `then` returns. Else the request is a message.
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
    using placed = detail::placed_call<OnValue, OnError>;
    using state_type = std::conditional_t<in_place<OnValue>, placed,
                                          detail::call_state<OnValue, OnError>>;
    auto state = make<state_type>(std::move(on_value), std::move(on_error));
    if (recent_time(self_) >= deadline_)
      return state->fail_now({ec::downstream_timeout, "no time left for the downstream"});
    if (!target_.role_.get())
      return state->fail_now(unavailable());
    state->held = target_.permits_.try_acquire();
    if (state->held || !target_.permits_)
      return send(target_.role_, self_, deadline_, message_, std::move(state));
    wait(std::move(state));
  }

private:
  template <class OnValue>
  static constexpr bool in_place
    = detail::served_in_place<Handle, Self, detail::answer_of<OnValue>, Ts...>;

  static error unavailable() { return {ec::degraded, "the downstream is not available"}; }

  template <class State, class OnValue, class OnError>
  static std::shared_ptr<State> make(OnValue on_value, OnError on_error) {
    if constexpr (std::is_aggregate_v<State>)
      return std::make_shared<State>(std::move(on_value), std::move(on_error), permit{});
    else
      return std::make_shared<State>(std::move(on_value), std::move(on_error));
  }

  template <class State>
  static void send(const role_ref<Handle>& role, Self* self, instant deadline,
                   std::tuple<Ts...>& message, std::shared_ptr<State> state) {
    auto target = role.get();
    if (!target)
      return state->fail_now(unavailable());
    using on_value = std::decay_t<decltype(state->on_value)>;
    if constexpr (in_place<on_value>) {
      auto* const door = role.door();
      auto& only = std::get<0>(message);
      if (door && door->is_free() && self->is_here() && door->takes(only))
        return door->serve(only, state->place(self, deadline));
    }
    using args = typename caf::detail::get_callable_trait<on_value>::arg_types;
    auto timeout = timeout_until(deadline, recent_time(self));
    std::apply(
      [&](auto&... xs) {
        self->request(target, timeout, std::move(xs)...)
          .then(detail::value_handler<State, args>{state},
                [state](const caf::error& e) { state->fail_now(to_error(e)); });
      },
      message);
  }

  template <class State>
  void wait(std::shared_ptr<State> state) {
    auto line = target_.permits_.here();
    if (!line)
      return state->fail_now(unavailable());
    auto self = self_;
    auto deadline = deadline_;
    auto timeout = timeout_until(deadline, recent_time(self));
    auto message = std::make_shared<std::tuple<Ts...>>(std::move(message_));
    self->request(line, timeout, atom::acquire_v, deadline, step_)
      .then(
        [=, role = target_.role_](const permit_grant& grant) {
          state->held = std::move(*grant.held);
          send(role, self, deadline, *message, state);
        },
        [state](const caf::error& e) { state->fail_now(to_error(e)); });
  }

  const downstream& target_;
  Self* self_;
  instant deadline_;
  work_step step_;
  std::tuple<Ts...> message_;
};

} // namespace ron::core
