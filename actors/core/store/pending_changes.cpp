#include "core/store/pending_changes.hpp"

#include <algorithm>
#include <compare>
#include <utility>

namespace ron::core::store {

namespace {

std::strong_ordering compare(byte_view a, byte_view b) noexcept {
  return std::lexicographical_compare_three_way(a.begin(), a.end(), b.begin(), b.end());
}

bool before(const log_step& a, const log_step& b) noexcept {
  return a.to != b.to ? a.to < b.to : compare(a.key, b.key) < 0;
}

bool same_key(const log_step& a, const log_step& b) noexcept {
  return a.to == b.to && std::ranges::equal(a.key, b.key);
}

} // namespace

// -- pending_changes ------------------------------------------------------------------------------

pending_changes::pending_changes(std::shared_ptr<const log_checkpoint> frozen,
                                 std::vector<log_blocks> since, const filter& wanted)
  : frozen_(std::move(frozen)), since_(std::move(since)) {
  auto add = [&](byte_view payload) {
    while (auto s = next_step(payload))
      if (s->op != log_op::raise && (!wanted || wanted(*s)))
        steps_.push_back(*s);
  };
  if (frozen_)
    frozen_->each_payload(add);
  for (const auto& blocks : since_)
    for (const auto& b : *blocks)
      add(b.view());
  // Of each key the last one stays. One that came and went stays, too: a part of a checkpoint may
  // have brought over how it came.
  std::ranges::reverse(steps_);
  std::ranges::stable_sort(steps_, before);
  const auto rest = std::ranges::unique(steps_, same_key);
  steps_.erase(rest.begin(), rest.end());
}

std::span<const log_step> pending_changes::from(table t, byte_view k) const noexcept {
  const log_step least{log_op::put, t, k, {}};
  const auto first = std::ranges::lower_bound(steps_, least, before);
  const auto last = std::find_if(first, steps_.end(), [t](const log_step& s) { return s.to != t; });
  return {first, last};
}

const log_step* pending_changes::find(table t, byte_view k) const noexcept {
  const log_step wanted{log_op::put, t, k, {}};
  const auto at = std::ranges::lower_bound(steps_, wanted, before);
  return at != steps_.end() && same_key(*at, wanted) ? &*at : nullptr;
}

// -- merged_cursor --------------------------------------------------------------------------------

bool merged_cursor::seek(byte_view k) {
  steps_ = over_.from(table_, k);
  under_there_ = under_.seek(k);
  return settle();
}

bool merged_cursor::next() {
  if (in_log_)
    steps_ = steps_.subspan(1);
  else
    under_there_ = under_.next();
  return settle();
}

/// Finds the entry at the place or the next one behind it.
bool merged_cursor::settle() {
  for (;;) {
    in_log_ = false;
    if (!under_there_ && !under_.status())
      return false; // what comes next in the log is not what comes next
    if (steps_.empty())
      return under_there_;
    const auto& s = steps_.front();
    const auto order = under_there_ ? compare(under_.key(), s.key) : std::strong_ordering::greater;
    if (order < 0)
      return true;
    if (order == 0) // the log knows better
      under_there_ = under_.next();
    if (s.op != log_op::remove)
      break;
    steps_ = steps_.subspan(1);
  }
  in_log_ = true;
  value_ = ended_value(steps_.front(), end_value_);
  return true;
}

} // namespace ron::core::store
