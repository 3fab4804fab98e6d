#pragma once

#include "core/actor/probe.hpp"

namespace ron::core {

/// The time during which an actor has the thread: marks it as the running one and adds the time
/// to its busy total. Nests: an actor that enters another one stays busy itself.
class activity {
public:
  explicit activity(probe& p, instant start) noexcept
    : probe_(p), outer_(probe::running()), start_(start) {
    probe::running() = &p;
    p.running_since.store(start.time_since_epoch().count(), std::memory_order_relaxed);
  }
  activity(const activity&) = delete;
  activity& operator=(const activity&) = delete;
  /// Reads the clock once and leaves the time as the `turn_time` of the current shard, where the
  /// next activity starts: one clock reading per resume.
  ~activity();

private:
  probe& probe_;
  probe* outer_;
  instant start_;
};

/// The activity of an actor that is handed something: too short and too frequent for a clock that
/// costs as much as the rest of it. Its time is the difference of two readings of the kernel's
/// coarse clock, mostly 0 and now and then a whole tick: right in the long run. The actor counts as
/// running since the turn began.
class brief_activity {
public:
  explicit brief_activity(probe& p) noexcept;
  brief_activity(const brief_activity&) = delete;
  brief_activity& operator=(const brief_activity&) = delete;
  ~brief_activity();

private:
  probe& probe_;
  probe* outer_;
  std::int64_t start_; ///< ns of the coarse clock
};

/// Where an activity starts: the current shard's `turn_time`, else the clock.
instant activity_start() noexcept;

} // namespace ron::core
