#pragma once

#include "core/actor/deadline_wheel.hpp"

#include <memory>

namespace ron::core {

/// A call made in place that ends at its deadline, unless it was answered before.
class timed_call {
public:
  virtual ~timed_call() = default;
  /// The deadline has come, and its timer is gone. The shard of the call.
  virtual void expire() = 0;
};

/// The deadlines of such calls on one shard. Bounded by the permits that the calls hold.
using call_timers = deadline_wheel<std::shared_ptr<timed_call>>;

} // namespace ron::core
