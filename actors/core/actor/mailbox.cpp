#include "core/actor/mailbox.hpp"

#include "core/actor/activity.hpp"
#include "core/actor/caf_error.hpp"
#include "core/actor/directory.hpp"
#include "core/actor/mailbox_bounds.hpp"

#include <caf/make_message.hpp>

#include <algorithm>
#include <limits>

namespace ron::core {

namespace {

thread_local const spawn_scope* innermost = nullptr;

// A response passes every bound, so answering from within an enqueue goes one level deep.
void answer(const caf::mailbox_element& request, caf::actor_control_block* self, caf::error why,
            caf::execution_unit* unit) {
  if (request.sender)
    request.sender->enqueue(self, request.mid.response_id(), caf::make_message(std::move(why)),
                            unit);
}

} // namespace

// -- mailbox_gate ------------------------------------------------------------------------

void mailbox_gate::refuse(const caf::mailbox_element& what, caf::execution_unit* unit) {
  if (what.mid.is_request()) {
    probe_.refused.fetch_add(1, std::memory_order_relaxed);
    directory::instance().count_refused();
    answer(what, probe_.control, caf::make_error(ec::busy, std::string{"mailbox_full"}), unit);
  } else {
    probe_.dropped.fetch_add(1, std::memory_order_relaxed);
    directory::instance().count_dropped();
  }
}

void mailbox_gate::answer_failed(const caf::mailbox_element& what, caf::execution_unit* unit) {
  if (what.mid.is_request() && !what.mid.is_answered())
    answer(what, probe_.control, to_caf(std::current_exception()), unit);
}

void mailbox_gate::open(const char* type) {
  auto* scope = spawn_scope::take();
  auto* running = probe::running();
  probe_.type = type;
  probe_.id = probe_.control->id();
  probe_.started = activity_start();
  probe_.parent = scope && scope->parent ? scope->parent : running ? running->id : 0;
  if (scope)
    probe_.site = scope->site;
  auto bound = scope && scope->bound ? scope->bound : mailbox_bounds::of(type);
  probe_.bound.store(std::clamp(bound, 1u, limits::mailbox_bound_max), std::memory_order_relaxed);
  directory::instance().add(probe_);
  open_ = true;
}

void mailbox_gate::close(const caf::error& reason) {
  if (!std::exchange(open_, false))
    return;
  directory::instance().remove(probe_, reason);
  probe_.bound.store(std::numeric_limits<std::uint32_t>::max(), std::memory_order_relaxed);
}

void mailbox_gate::raise_high_water(std::uint32_t depth) noexcept {
  auto seen = probe_.high_water.load(std::memory_order_relaxed);
  while (seen < depth
         && !probe_.high_water.compare_exchange_weak(seen, depth, std::memory_order_relaxed)) {
    // nop
  }
}

// -- spawn_scope -------------------------------------------------------------------------

spawn_scope::spawn_scope(std::uint64_t p, std::uint32_t b, std::source_location s) noexcept
  : parent(p), bound(b), site(s), outer_(std::exchange(innermost, this)) {
  // nop
}

spawn_scope::~spawn_scope() {
  innermost = outer_;
}

const spawn_scope* spawn_scope::take() noexcept {
  return std::exchange(innermost, nullptr);
}

} // namespace ron::core
