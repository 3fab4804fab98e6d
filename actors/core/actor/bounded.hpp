#pragma once

#include "core/actor/activity.hpp"
#include "core/actor/caf_error.hpp"
#include "core/actor/mailbox.hpp"

#include <caf/actor_config.hpp>
#include <caf/scheduled_actor.hpp>

#include <utility>

namespace ron::core {

/// Adds to an event-based CAF actor what CAF 0.17 lacks:
///
/// - a mailbox with a bound that holds before anybody has a handle. At the bound a request is
///   answered at once with `ec::busy` ("mailbox_full"), a plain message is dropped and counted.
///   Control messages, responses and own timers always pass (`passes_bound`);
/// - a record in the directory while it lives and a line in the list of deaths after;
/// - request timeouts that are cancelled by the response instead of piling up;
/// - a handler that throws answers its request with `ec::internal` and ends the actor.
///
/// Cost: no allocation, two atomic operations per message on top of CAF's own.
template <class Base>
class bounded : public Base {
public:
  template <class... Ts>
  explicit bounded(caf::actor_config& config, Ts&&... args)
    : Base(config, std::forward<Ts>(args)...), gate_(this->ctrl()) {
    this->set_exception_handler(
      [](caf::scheduled_actor*, std::exception_ptr& e) { return to_caf(e); });
  }

  /// What other threads may know about this actor.
  const probe& observed() const noexcept { return gate_.observed(); }

  // -- CAF -----------------------------------------------------------------------
  using Base::consume;
  using Base::enqueue;

  void enqueue(caf::mailbox_element_ptr what, caf::execution_unit* unit) override {
    if (auto* sender = probe::running())
      probe::bump(sender->out);
    if (gate_.admit(*what))
      Base::enqueue(std::move(what), unit);
    else
      gate_.refuse(*what, unit);
  }

  caf::invoke_message_result consume(caf::mailbox_element& what) override {
    const auto id = what.mid;
    mailbox_gate::handling handling{gate_, what};
    try {
      auto outcome = Base::consume(what);
      if (outcome == caf::invoke_message_result::skipped)
        handling.skipped();
      else if (id.is_response())
        this->clock().cancel_request_timeout(this, id);
      return outcome;
    } catch (...) {
      gate_.answer_failed(what, this->context());
      throw;
    }
  }

  caf::resumable::resume_result resume(caf::execution_unit* unit, std::size_t n) override {
    activity running{gate_.observed(), activity_start()};
    return Base::resume(unit, n);
  }

  void launch(caf::execution_unit* unit, bool lazy, bool hide) override {
    gate_.open(this->name());
    Base::launch(unit, lazy, hide);
  }

  bool cleanup(caf::error&& reason, caf::execution_unit* unit) override {
    gate_.close(reason);
    return Base::cleanup(std::move(reason), unit);
  }

protected:
  mailbox_gate gate_;
};

} // namespace ron::core
