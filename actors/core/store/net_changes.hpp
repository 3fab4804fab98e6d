#pragma once

#include "core/store/log_format.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ron::core::store {

/// What a row of steps comes to: at most one change per key, the last one. What was made and
/// removed again in it is left out. Pure; views into the payloads, which outlive it.
class net_changes {
public:
  /// `payloads` in the order of their records. What follows a damaged step of a payload is left out
  /// and counted. `trust_fresh`: no key of a `fresh` step can be in the store; false after a crash,
  /// which may have left a part of these very changes there.
  net_changes(std::span<const byte_view> payloads, bool trust_fresh);

  /// In the order in which they are to be made: counters; what is put, by table and key, ascending;
  /// what is removed, descending. So that at any point between two of them a counter covers what
  /// was numbered by it, and what refers to a table with a lower number finds what it refers to.
  std::span<const log_step> all() const noexcept { return steps_; }
  std::size_t damaged() const noexcept { return damaged_; }

private:
  std::vector<log_step> steps_;
  std::size_t damaged_ = 0;
};

} // namespace ron::core::store
