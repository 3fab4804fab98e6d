#include "core/actor/shutdown.hpp"

#include <algorithm>

namespace ron::core {

void shutdown::begin(instant now) {
  if (begun_)
    return;
  begun_ = true;
  if (!steps_.empty())
    start_step(now);
}

bool shutdown::advance(instant now) {
  while (begun_ && at_ < steps_.size()) {
    const auto& step = steps_[at_];
    bool is_done = !step.done || step.done();
    if (!is_done && now - step_began_ < step.grace)
      return false;
    end_step(now, !is_done);
  }
  return finished();
}

void shutdown::start_step(instant now) {
  step_began_ = now;
  if (steps_[at_].start)
    steps_[at_].start();
}

void shutdown::end_step(instant now, bool was_cut) {
  auto& step = steps_[at_];
  if (was_cut && step.cut)
    step.cut();
  auto took = std::chrono::duration_cast<std::chrono::milliseconds>(now - step_began_);
  report_.push_back({step.name, took, was_cut});
  if (++at_ < steps_.size())
    start_step(now);
}

std::string shutdown::waiting_for() const {
  return begun_ && at_ < steps_.size() ? steps_[at_].name : std::string{};
}

bool shutdown::anything_cut() const noexcept {
  return std::ranges::any_of(report_, &shutdown_report::was_cut);
}

} // namespace ron::core
