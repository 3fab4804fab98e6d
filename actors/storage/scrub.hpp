#pragma once

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/ids.hpp"

#include <chrono>
#include <cstdint>
#include <mutex>
#include <optional>
#include <vector>

namespace ron::storage {

/// Where a scrub goes on: at a group of an object, or of the one after it if it has no such group
/// or is gone. Nothing = at the first object.
struct scrub_place {
  std::optional<core::cid> object{};
  std::uint64_t group = 0;
};

/// What one step of a scrub has looked at.
struct scrub_step {
  scrub_place next{};
  bool finished = false;           ///< there is no further object
  std::uint64_t objects = 0;       ///< that ended in this step
  std::uint64_t groups = 0;
  std::uint64_t bytes = 0;
  std::uint64_t corrupt = 0;       ///< groups and records that did not hash to what they should
  std::vector<core::cid> damaged{}; ///< their objects; not more than `groups` and `objects`
};

/// How a store is scrubbed.
struct scrub_limits {
  std::uint64_t rate = 16u << 20;           ///< bytes per second of a pass that nobody asked for
  std::uint64_t step_bytes = 16u << 20;     ///< of one step of a pass that was asked for
  std::chrono::seconds first{600};          ///< from the start of the process to the first pass
  std::chrono::seconds period{24 * 3'600};  ///< from the end of a pass to the next one
};

/// The pass under way or the last one.
struct scrub_status {
  static constexpr std::size_t damaged_max = 64;

  std::uint64_t pass = 0;          ///< number of the pass, counted from the start; 0 = none yet
  bool running = false;
  bool asked = false;              ///< somebody asked for it, so it goes as fast as it can
  std::uint64_t objects = 0;
  std::uint64_t groups = 0;
  std::uint64_t bytes = 0;
  std::uint64_t corrupt = 0;
  std::vector<core::cid> damaged;  ///< the first `damaged_max` objects
  std::int64_t started_ms = 0;     ///< wall clock
  std::int64_t ended_ms = 0;       ///< wall clock; 0 while running
};

/// One step to be taken.
struct scrub_order {
  std::uint64_t pass = 0;
  scrub_place from;
  std::uint64_t bytes_max = 0;
};

/// Decides when which part of a store is looked at. One step at a time. Pure.
class scrub_machine {
public:
  scrub_machine(scrub_limits limits, core::instant now)
    : limits_(limits), due_(now + limits.first) {
    // nop
  }

  /// Begins a new pass at once, in place of one under way.
  void ask(std::int64_t wall_ms);
  /// The next step if it is time for one and none is under way.
  std::optional<scrub_order> next(core::instant now, std::int64_t wall_ms);
  /// The outcome of a step; of an error the same step is tried again. An outcome that belongs to
  /// another pass is dropped.
  void done(std::uint64_t pass, const core::result<scrub_step>& step, core::instant now,
            std::int64_t wall_ms);
  /// The step under way will have no outcome.
  void lost() noexcept { busy_ = false; }

  const scrub_status& status() const noexcept { return status_; }

private:
  void begin(bool asked, std::int64_t wall_ms);

  scrub_limits limits_;
  core::instant due_;
  scrub_status status_;
  scrub_place place_;
  bool busy_ = false;
};

/// The machine of a store, shared by the replicas of the role. Any thread.
class scrubber {
public:
  /// `clock` outlives the scrubber.
  explicit scrubber(const core::clock& clock, scrub_limits limits = {})
    : clock_(clock), machine_(limits, clock.now()) {
    // nop
  }

  scrub_status ask() {
    std::lock_guard guard{mutex_};
    machine_.ask(clock_.wall_ms());
    return machine_.status();
  }
  std::optional<scrub_order> next() {
    std::lock_guard guard{mutex_};
    return machine_.next(clock_.now(), clock_.wall_ms());
  }
  void done(std::uint64_t pass, const core::result<scrub_step>& step) {
    std::lock_guard guard{mutex_};
    machine_.done(pass, step, clock_.now(), clock_.wall_ms());
  }
  void lost() {
    std::lock_guard guard{mutex_};
    machine_.lost();
  }
  scrub_status status() const {
    std::lock_guard guard{mutex_};
    return machine_.status();
  }

private:
  const core::clock& clock_;
  mutable std::mutex mutex_;
  scrub_machine machine_;
};

} // namespace ron::storage
