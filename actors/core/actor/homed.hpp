#pragma once

#include "core/actor/bounded.hpp"
#include "core/actor/shards.hpp"

#include <exception>
#include <utility>

namespace ron::core {

namespace detail {
/// The shard a new actor lives on: where it was spawned, else the current or the next one; null
/// when the system runs on another scheduler (tests).
shard* settle(caf::actor_system& system, caf::execution_unit* spawned_on) noexcept;
/// Runs `f` as a job of its own on a scheduler that is not ours (tests).
void run_later(caf::actor_system& system, job f);
[[noreturn]] void throw_homeless();
[[noreturn]] void throw_foreign();
} // namespace detail

/// Adds to a bounded actor its home and the socket edge: completion handlers that run as the
/// actor, between two of its messages.
template <class Base>
class homed : public Base {
public:
  template <class... Ts>
  explicit homed(caf::actor_config& config, Ts&&... args)
    : Base(config, std::forward<Ts>(args)...),
      home_(detail::settle(this->home_system(), config.host)) {
    if (home_) {
      this->context(home_);
      this->gate_.observed().shard = static_cast<std::uint32_t>(home_->index());
    }
  }

  /// The shard this actor lives on, with the `io()` its sockets and timers belong to. Throws
  /// std::logic_error when the system does not run on shards.
  shard& home() const {
    if (!home_)
      detail::throw_homeless();
    return *home_;
  }

  /// True on the shard this actor lives on.
  bool is_here() const noexcept { return shard::current() == home_; }

  /// True while nothing runs as this actor. On the home shard.
  bool is_at_rest() const noexcept {
    return this->gate_.observed().running_since.load(std::memory_order_relaxed) == 0;
  }

  /// A completion handler that runs `f` as this actor: `socket.async_read_some(buf,
  /// self->bind([self](error_code e, size_t n) { ... }))`. It holds a strong reference, so the
  /// actor outlives the operation; once the actor has ended, `f` is not called any more. An
  /// exception out of `f` ends the actor with `ec::internal`. The handler may be called once or
  /// more, on the home shard; move-only. May be made by the actor only.
  template <class F>
  auto bind(F f) {
    return [keep = caf::strong_actor_ptr{this->ctrl()}, this, f = std::move(f)](
             auto&&... args) mutable {
      enter([&] { f(std::forward<decltype(args)>(args)...); });
    };
  }

  /// Runs `f` now as this actor, which must not have ended. On the home shard; while the actor
  /// runs already, it is a plain call.
  template <class F>
  void enter(F&& f) {
    auto& probe = this->gate_.observed();
    if (probe.running_since.load(std::memory_order_relaxed) != 0)
      return static_cast<void>(f());
    if (!this->activate(home_ ? home_ : this->context()))
      return;
    activity running{probe, turn_begins()};
    this->current_mailbox_element(nullptr); // the one it points to is gone
    run_guarded(f);
    this->bhvr_stack().cleanup();
    this->finalize();
  }

  /// Runs `f` now as this actor and counts it as a message of the kind `what`; false if the actor
  /// has ended, before or by it. For whoever holds a `port` of it, which says more.
  template <class F>
  bool hand(message_tag what, F&& f) {
    if (!is_here())
      detail::throw_foreign();
    auto& mine = this->gate_.observed();
    if (auto* sender = probe::running())
      probe::bump(sender->out);
    constexpr int over = Base::is_shutting_down_flag | Base::is_terminated_flag;
    if (this->getf(over))
      return false;
    if (mine.running_since.load(std::memory_order_relaxed) != 0) {
      within_itself(mine, f);
      mine.handled(what);
      return !this->getf(over);
    }
    brief_activity running{mine};
    if (!this->getf(Base::is_initialized_flag) && !this->activate(home_ ? home_ : this->context()))
      return false;
    this->current_mailbox_element(nullptr); // the one it points to is gone
    run_guarded(f);
    mine.handled(what);
    this->bhvr_stack().cleanup();
    return !this->finalize();
  }

  /// Runs `f` as this actor at the end of the shard's turn (see `shard::defer`); while one call
  /// is pending, further ones are ignored. The actor only.
  template <class F>
  void defer(F f) {
    if (std::exchange(deferred_, true))
      return;
    job later = [keep = caf::strong_actor_ptr{this->ctrl()}, this, f = std::move(f)]() mutable {
      deferred_ = false;
      enter(f);
    };
    if (home_)
      home_->defer(std::move(later));
    else
      detail::run_later(this->home_system(), std::move(later));
  }

private:
  /// The time, which the shard knows from now on: what wakes it comes in here.
  instant turn_begins() noexcept {
    const auto now = std::chrono::steady_clock::now();
    if (home_)
      home_->turn_time(now);
    return now;
  }

  template <class F>
  void run_guarded(F& f) {
    try {
      f();
    } catch (...) {
      this->quit(to_caf(std::current_exception()));
    }
  }

  /// A hand-over to an actor that runs further up the stack: what it runs there goes on after it,
  /// with the message it is handling.
  template <class F>
  void within_itself(probe& mine, F& f) {
    auto* const current = this->current_mailbox_element();
    auto* const outer = std::exchange(probe::running(), &mine);
    this->current_mailbox_element(nullptr);
    run_guarded(f);
    this->current_mailbox_element(current);
    probe::running() = outer;
  }

  shard* home_;
  bool deferred_ = false;
};

} // namespace ron::core
