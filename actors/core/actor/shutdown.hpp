#pragma once

#include "core/clock.hpp"

#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace ron::core {

/// One step of an ordered stop.
struct shutdown_step {
  std::string name;                 ///< for the report, e.g. "drain streams"
  std::function<void()> start;      ///< begins it; must not block
  std::function<bool()> done;       ///< true when it is over; empty = over when started
  std::chrono::milliseconds grace{0}; ///< after this it counts as cut and the next one begins
  std::function<void()> cut;        ///< what to do about what is left; may be empty
};

/// How a step went.
struct shutdown_report {
  std::string name;
  std::chrono::milliseconds took{0};
  bool was_cut = false;
};

/// Stops a program in order: each step begins when the one before it is done or its grace is
/// over. No thread and no clock of its own: whoever drives it calls `advance` every few
/// milliseconds. Also answers what the stop waits for (`ronctl why-not-stopped`). One thread.
class shutdown {
public:
  explicit shutdown(std::vector<shutdown_step> steps) : steps_(std::move(steps)) {}

  /// Begins with the first step; later calls do nothing.
  void begin(instant now);
  /// True from `begin` on.
  bool begun() const noexcept { return begun_; }
  /// Moves on as far as it can; true when all steps are over.
  bool advance(instant now);
  /// True when all steps are over.
  bool finished() const noexcept { return begun_ && at_ == steps_.size(); }

  /// Name of the step that is waited for; empty before `begin` and at the end.
  std::string waiting_for() const;
  /// Steps that are over, in order.
  const std::vector<shutdown_report>& report() const noexcept { return report_; }
  /// True if a step was cut: the program exits with 75 then.
  bool anything_cut() const noexcept;

private:
  void start_step(instant now);
  void end_step(instant now, bool was_cut);

  std::vector<shutdown_step> steps_;
  std::vector<shutdown_report> report_;
  std::size_t at_ = 0;
  instant step_began_{};
  bool begun_ = false;
};

} // namespace ron::core
