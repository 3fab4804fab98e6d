#include "omnigate/gate.hpp"

#include <algorithm>

namespace ron::omnigate {

using core::ec;
using core::fail;
using core::result;
using transport::access;
using transport::admission;
using transport::principal;

namespace {

constexpr std::uint32_t shed_retry_ms = 1'000;

gcra::nanos nanos_of(core::instant t) noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
}

std::unexpected<core::error> over_rate(gcra::nanos wait, const char* whose, const char* knob) {
  constexpr gcra::nanos ms = 1'000'000;
  return fail(ec::quota, std::string{"over the rate of "} + whose + " (omnigate." + knob + ")",
              static_cast<std::uint32_t>(std::min<gcra::nanos>(wait / ms + 1, 60'000)));
}

} // namespace

transport::admission_slot slot_counter::take() {
  auto n = state_->used.load(std::memory_order_relaxed);
  do {
    if (n >= max())
      return nullptr;
  } while (!state_->used.compare_exchange_weak(n, n + 1, std::memory_order_relaxed));
  return {state_.get(), [state = state_](void*) {
            state->used.fetch_sub(1, std::memory_order_relaxed);
          }};
}

gate::gate(gate_limits limits, std::shared_ptr<const operator_capability> capability,
           const core::clock& clock)
    : public_read_(limits.public_read), capability_(std::move(capability)), clock_(clock),
      instance_(limits.instance), tenants_(limits.tenant, limits.callers_max),
      addresses_(limits.address, limits.callers_max), inflight_(limits.inflight_max),
      waiters_(limits.waiters_max) {
  // nop
}

void gate::set_limits(const gate_limits& limits) noexcept {
  public_read_.store(limits.public_read, std::memory_order_relaxed);
  instance_.set(limits.instance);
  tenants_.set(limits.tenant);
  addresses_.set(limits.address);
  inflight_.set_max(limits.inflight_max);
  waiters_.set_max(limits.waiters_max);
}

void gate::admit(const transport::call& c, std::function<void(result<admission>)> then) {
  then(decide(c));
}

result<admission> gate::decide(const transport::call& c) {
  if (c.op->needs == access::none)
    return admission{};
  if (draining_.load(std::memory_order_relaxed))
    return fail(ec::draining, "the node is stopping", shed_retry_ms);
  if (c.op->needs == access::write && degraded_.load(std::memory_order_relaxed))
    return only_reads();
  auto who = identify(c);
  if (auto ok = check_rates(c, who ? *who : principal{}); !ok)
    return std::unexpected{ok.error()};
  if (!who)
    return std::unexpected{who.error()};
  auto slot = take_slot(c);
  if (!slot)
    return std::unexpected{slot.error()};
  return admission{std::move(*who), std::move(*slot)};
}

void gate::degrade(std::string missing) {
  {
    std::lock_guard guard{missing_mutex_};
    missing_ = std::move(missing);
  }
  degraded_.store(true, std::memory_order_relaxed);
}

std::unexpected<core::error> gate::only_reads() const {
  std::lock_guard guard{missing_mutex_};
  return fail(ec::degraded, "only reads are served at the moment, for want of: " + missing_,
              shed_retry_ms);
}

result<principal> gate::identify(const transport::call& c) const {
  if (c.capability.empty()) {
    if (c.op->needs == access::read && public_read_.load(std::memory_order_relaxed))
      return principal{principal::kind::anonymous, {}, address_key(c.peer)};
    return fail(ec::unauth, "this needs a capability: `ronctl token` on the node's machine prints "
                            "one for `Authorization: Bearer`");
  }
  if (auto ok = capability_->verify(c.capability.view(), {c.op->name, clock_.wall_ms()}); !ok)
    return std::unexpected{ok.error()};
  return principal{principal::kind::local_operator, {}, "operator"};
}

// Whoever shows a bad token is counted as the address it comes from, or guessing would be free.
result<void> gate::check_rates(const transport::call& c, const principal& who) {
  const bool through_tor = c.via == transport::wire::oap_tor;
  if (who.is == principal::kind::local_operator && !through_tor)
    return {};
  const auto now = nanos_of(clock_.now());
  if (through_tor && who.is != principal::kind::anonymous) {
    // Nobody there is local or has an address: who shows a capability is counted by it.
    if (auto wait = tenants_.take("tor " + who.id, now); wait > 0)
      return over_rate(wait, "one capability through Tor", "rate-tenant");
  } else if (auto wait = addresses_.take(address_key(c.peer), now); wait > 0) {
    return over_rate(wait, through_tor ? "everybody without a capability behind Tor"
                                       : "one anonymous address", "rate-address");
  }
  if (!who.tenant.is_zero())
    if (auto wait = tenants_.take(who.tenant.to_text(), now); wait > 0)
      return over_rate(wait, "one tenant", "rate-tenant");
  if (auto wait = instance_.take(now); wait > 0)
    return over_rate(wait, "this instance", "rate");
  return {};
}

result<transport::admission_slot> gate::take_slot(const transport::call& c) {
  auto& slots = c.op->waits ? waiters_ : inflight_;
  if (auto slot = slots.take())
    return slot;
  if (!c.op->waits)
    shed_.store(true, std::memory_order_relaxed);
  return fail(ec::busy,
              c.op->waits ? "too many long polls wait (omnigate.waiters-max)"
                          : "too many requests in flight (omnigate.inflight-max)",
              shed_retry_ms);
}

double gate::pressure() const noexcept {
  const auto max = inflight_.max();
  return max == 0 ? 0.0 : static_cast<double>(inflight_.used()) / max;
}

} // namespace ron::omnigate
