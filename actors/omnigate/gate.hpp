#pragma once

#include "core/clock.hpp"
#include "omnigate/capability.hpp"
#include "omnigate/rate.hpp"
#include "transport/operation.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

namespace ron::omnigate {

/// Limits of the gate; 0 for a rate = off.
struct gate_limits {
  std::uint32_t inflight_max = 512;
  std::uint32_t waiters_max = 4'096;
  rate_limit instance{500, 1'000};
  rate_limit tenant{200, 400};
  rate_limit address{50, 100};
  bool public_read = true;
  std::size_t callers_max = 65'536; ///< buckets remembered, tenants and addresses each
};

/// A counter with a bound, shared by all shards: the sum never exceeds, nobody is refused while
/// there is room. Any thread.
class slot_counter {
public:
  explicit slot_counter(std::uint32_t max) noexcept : max_(max) {}
  /// Another bound from now on; whoever is above it already stays.
  void set_max(std::uint32_t max) noexcept { max_.store(max, std::memory_order_relaxed); }
  /// A slot that frees itself, or null when all are taken.
  transport::admission_slot take();
  std::uint32_t used() const noexcept { return state_->used.load(std::memory_order_relaxed); }
  std::uint32_t max() const noexcept { return max_.load(std::memory_order_relaxed); }

private:
  struct state {
    alignas(64) std::atomic<std::uint32_t> used{0};
  };
  std::atomic<std::uint32_t> max_;
  std::shared_ptr<state> state_ = std::make_shared<state>();
};

/// Admission for every operation of the node: state of the node, capability, rates, slots, in this
/// order, nothing of the request is looked at before. One object for all shards; any thread.
///
/// The local operator passes no rate limit but takes a slot like everybody else. Through the onion
/// service nobody is local: a capability has a bucket of its own, all others there share one.
class gate final : public transport::gate {
public:
  /// `clock` outlives the gate.
  gate(gate_limits limits, std::shared_ptr<const operator_capability> capability,
       const core::clock& clock);

  void admit(const transport::call& c,
             std::function<void(core::result<transport::admission>)> then) override;

  /// Other limits from now on: rates, requests in flight, long polls and who may read.
  /// `callers_max` stays as it was.
  void set_limits(const gate_limits& limits) noexcept;

  /// From now on every request but those of access `none` is refused.
  void drain() noexcept { draining_.store(true, std::memory_order_relaxed); }
  /// From now on writes are refused, and told what the node misses (names of readiness keys).
  void degrade(std::string missing);
  /// They are taken again.
  void recover() noexcept { degraded_.store(false, std::memory_order_relaxed); }

  /// Requests in flight against their limit, 0..1. Long polls wait and press on nobody.
  double pressure() const noexcept;
  /// True once after requests were shed for want of room.
  bool take_shed() noexcept { return shed_.exchange(false, std::memory_order_relaxed); }
  std::uint32_t inflight() const noexcept { return inflight_.used(); }

private:
  std::unexpected<core::error> only_reads() const;
  core::result<transport::admission> decide(const transport::call& c);
  core::result<transport::principal> identify(const transport::call& c) const;
  core::result<void> check_rates(const transport::call& c, const transport::principal& who);
  core::result<transport::admission_slot> take_slot(const transport::call& c);

  std::atomic<bool> public_read_;
  std::shared_ptr<const operator_capability> capability_;
  const core::clock& clock_;
  shared_bucket instance_;
  keyed_buckets tenants_;
  keyed_buckets addresses_;
  slot_counter inflight_;
  slot_counter waiters_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> degraded_{false};
  std::atomic<bool> shed_{false};
  mutable std::mutex missing_mutex_;
  std::string missing_; ///< while degraded
};

} // namespace ron::omnigate
