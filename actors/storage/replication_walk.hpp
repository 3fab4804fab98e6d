#pragma once

#include "core/clock.hpp"
#include "storage/replication_work.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace ron::storage {

/// When the objects of a store are put on its work list again.
struct walk_limits {
  std::uint64_t backlog_max = 4'096;         ///< items that wait; no step while there are more
  std::chrono::seconds retry{1};             ///< after a step that failed
  std::chrono::milliseconds audit_pause{1'000}; ///< between two steps when all was copied once
  std::chrono::hours first{1};               ///< from the start to the first audit
  std::chrono::hours period{24};             ///< from the end of a walk to the next audit
};

/// Decides when the walk over all objects of a store takes a step. The first walk after a change of
/// `storage.rf` or `storage.peers` copies what was put before; later ones, the audits, ask the
/// peers whether they still have what they were given. Where a walk is lies in the store. One step
/// at a time. Pure.
class walk_machine {
public:
  /// `mark`: see `walk_order`.
  walk_machine(walk_limits limits, std::uint64_t mark, core::instant now)
    : limits_(limits), mark_(mark), due_(now), audit_due_(now + limits.first) {
    // nop
  }

  /// A peer has lost what it had: begins an audit soon.
  void ask() noexcept { asked_ = true; }
  /// The next step if it is time for one, none is under way and the work list is short.
  std::optional<walk_order> next(core::instant now, std::uint64_t backlog) {
    if (busy_ || now < due_ || backlog > limits_.backlog_max)
      return std::nullopt;
    walk_order out{.mark = mark_};
    if (known_ && !state_.running) {
      out.again = asked_ || now >= audit_due_;
      if (!out.again)
        return std::nullopt;
      asked_ = false;
    }
    busy_ = true;
    return out;
  }
  /// What a step has come to; nothing if it failed.
  void done(const std::optional<walk_state>& s, core::instant now) {
    busy_ = false;
    if (!s) {
      due_ = now + limits_.retry;
      return;
    }
    if (known_ && state_.running && !s->running)
      audit_due_ = now + limits_.period;
    known_ = true;
    state_ = *s;
    due_ = state_.audit ? now + limits_.audit_pause : now;
  }

  /// Objects that no walk with this mark has come to yet, of `objects`: they may have no copies.
  std::uint64_t unknown(std::uint64_t objects) const noexcept {
    if (!known_)
      return objects;
    if (!state_.running || state_.audit)
      return 0;
    return objects - (state_.walked < objects ? state_.walked : objects);
  }
  const walk_state& state() const noexcept { return state_; }

private:
  walk_limits limits_;
  std::uint64_t mark_;
  walk_state state_;
  core::instant due_;
  core::instant audit_due_;
  bool known_ = false; ///< the store has said where its walk is
  bool asked_ = false;
  bool busy_ = false;
};

} // namespace ron::storage
