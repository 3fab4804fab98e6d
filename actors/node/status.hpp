#pragma once

#include "core/clock.hpp"
#include "node/readiness.hpp"

#include <mutex>
#include <string>
#include <vector>

namespace ron::node {

/// What the node says about itself, written by the readiness actor and read by the operations
/// endpoints of every shard. Any thread.
class status {
public:
  struct snapshot {
    readiness state = readiness::unready;
    std::vector<std::string> missing{"starting"};
  };

  explicit status(const core::clock& clock) : clock_(clock), started_(clock.now()) {
    // nop
  }

  void set(readiness state, std::vector<std::string> missing) {
    std::lock_guard guard{mutex_};
    now_ = {state, std::move(missing)};
  }
  snapshot get() const {
    std::lock_guard guard{mutex_};
    return now_;
  }
  /// Since the start of the process.
  std::chrono::milliseconds uptime() const {
    return std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - started_);
  }

private:
  const core::clock& clock_;
  core::instant started_;
  mutable std::mutex mutex_;
  snapshot now_;
};

} // namespace ron::node
