#include "storage/scrub.hpp"

#include <algorithm>

namespace ron::storage {

namespace {

/// How long a step that failed (the store is busy or away) is left alone.
constexpr std::chrono::seconds retry_after{1};

} // namespace

void scrub_machine::begin(bool asked, std::int64_t wall_ms) {
  auto pass = status_.pass + 1;
  status_ = {};
  status_.pass = pass;
  status_.running = true;
  status_.asked = asked;
  status_.started_ms = wall_ms;
  place_ = {};
}

void scrub_machine::ask(std::int64_t wall_ms) {
  begin(true, wall_ms);
  due_ = core::instant::min();
}

std::optional<scrub_order> scrub_machine::next(core::instant now, std::int64_t wall_ms) {
  if (busy_ || now < due_)
    return std::nullopt;
  if (!status_.running)
    begin(false, wall_ms);
  busy_ = true;
  return scrub_order{status_.pass, place_, status_.asked ? limits_.step_bytes : limits_.rate};
}

void scrub_machine::done(std::uint64_t pass, const core::result<scrub_step>& step,
                         core::instant now, std::int64_t wall_ms) {
  busy_ = false;
  if (pass != status_.pass || !status_.running)
    return;
  if (!step) {
    due_ = now + retry_after;
    return;
  }
  place_ = step->next;
  status_.objects += step->objects;
  status_.groups += step->groups;
  status_.bytes += step->bytes;
  status_.corrupt += step->corrupt;
  for (const auto& c : step->damaged)
    if (status_.damaged.size() < scrub_status::damaged_max
        && std::ranges::find(status_.damaged, c) == status_.damaged.end())
      status_.damaged.push_back(c);
  due_ = status_.asked ? now : now + std::chrono::seconds{1}; // a step is a second's worth
  if (!step->finished)
    return;
  status_.running = false;
  status_.ended_ms = wall_ms;
  due_ = now + limits_.period;
}

} // namespace ron::storage
