#pragma once

#include "core/store/log_checkpoint.hpp"
#include "core/store/transaction.hpp"

#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace ron::core::store {

/// What a log has and the environment behind it may not have yet: the last change of each key.
/// Counters (`raise`) are left out. Holds what it points into; does not change.
class pending_changes {
public:
  /// Which steps it is about; null = all.
  using filter = std::function<bool(const log_step&)>;

  /// Nothing.
  pending_changes() = default;
  /// `frozen`, if it is not null, came before `since`.
  pending_changes(std::shared_ptr<const log_checkpoint> frozen, std::vector<log_blocks> since,
                  const filter& wanted);

  /// By table and key, ascending.
  std::span<const log_step> all() const noexcept { return steps_; }
  /// Those of a table, from the first key on that is not less than `k`.
  std::span<const log_step> from(table t, byte_view k) const noexcept;
  /// The change of one key; null if there is none.
  const log_step* find(table t, byte_view k) const noexcept;

private:
  std::shared_ptr<const log_checkpoint> frozen_;
  std::vector<log_blocks> since_;
  std::vector<log_step> steps_;
};

/// Walks over a table as it will be when the log has been brought over. A view taken after the
/// pending changes misses nothing: what a checkpoint has brought over in between is made again,
/// which changes nothing. Sees the keys of which nothing is written meanwhile; others may be old.
class merged_cursor {
public:
  /// `over` outlives it. `end_value` may be null.
  merged_cursor(const read_view& view, table t, const pending_changes& over, value_end end_value)
    : under_(view.scan(t)), over_(over), table_(t), end_value_(std::move(end_value)) {
    // nop
  }

  /// As of a `cursor`. Keys and values are valid until it moves.
  bool seek(byte_view k);
  bool next();
  byte_view key() const noexcept { return in_log_ ? steps_.front().key : under_.key(); }
  byte_view value() const noexcept { return in_log_ ? byte_view{value_} : under_.value(); }
  /// Nothing, or why the walk ended early.
  result<void> status() const { return under_.status(); }

private:
  bool settle();

  cursor under_;
  const pending_changes& over_;
  const table table_;
  const value_end end_value_;
  std::span<const log_step> steps_; ///< the first is at or behind the place
  bool under_there_ = false;
  bool in_log_ = false; ///< the entry is the first of `steps_`
  std::vector<std::uint8_t> value_;
};

} // namespace ron::core::store
