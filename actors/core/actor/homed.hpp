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
    activity running{probe, std::chrono::steady_clock::now()};
    this->current_mailbox_element(nullptr); // the one it points to is gone
    try {
      f();
    } catch (...) {
      this->quit(to_caf(std::current_exception()));
    }
    this->bhvr_stack().cleanup();
    this->finalize();
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
  shard* home_;
  bool deferred_ = false;
};

} // namespace ron::core
