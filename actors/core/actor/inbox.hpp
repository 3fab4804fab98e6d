#pragma once

#include <atomic>
#include <cstddef>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

namespace caf {
class resumable;
} // namespace caf

namespace ron::core {

/// Where other threads leave work for a shard. The lock is held for a few pointer copies; the
/// owner looks at one atomic while there is nothing. It also knows whether the owner sleeps, so
/// that a wake costs a system call only when it is needed.
class inbox {
public:
  /// Adds `items` and calls `wake` (under the lock) if the owner sleeps. False once closed: the
  /// items remain the caller's. Any thread.
  template <class Wake>
  bool push(std::span<caf::resumable* const> items, Wake&& wake) {
    std::lock_guard guard{mutex_};
    if (closed_)
      return false;
    items_.insert(items_.end(), items.begin(), items.end());
    count_.store(items_.size(), std::memory_order_release);
    if (std::exchange(sleeping_, false))
      wake();
    return true;
  }

  /// Calls `wake` under the lock unless closed; for a stop flag that was just raised. Any thread.
  template <class Wake>
  void interrupt(Wake&& wake) {
    std::lock_guard guard{mutex_};
    sleeping_ = false;
    if (!closed_)
      wake();
  }

  /// True while nothing waits; may be stale by the time it returns. Any thread.
  bool empty() const noexcept { return count_.load(std::memory_order_acquire) == 0; }

  /// Appends everything to `out`, oldest first. Owner.
  void take(std::vector<caf::resumable*>& out) {
    std::lock_guard guard{mutex_};
    out.insert(out.end(), items_.begin(), items_.end());
    items_.clear();
    count_.store(0, std::memory_order_relaxed);
  }

  /// Announces that the owner goes to sleep; false if something has arrived. Owner.
  bool may_sleep() {
    std::lock_guard guard{mutex_};
    return sleeping_ = items_.empty();
  }

  /// The owner is up again, whoever woke it. Owner.
  void awake() {
    std::lock_guard guard{mutex_};
    sleeping_ = false;
  }

  /// From now on every push is refused; what is left goes to `out`. Any thread.
  void close(std::vector<caf::resumable*>& out) {
    std::lock_guard guard{mutex_};
    closed_ = true;
    out.insert(out.end(), items_.begin(), items_.end());
    items_.clear();
    count_.store(0, std::memory_order_relaxed);
  }

private:
  std::mutex mutex_;
  std::vector<caf::resumable*> items_;
  bool sleeping_ = false;
  bool closed_ = false;
  std::atomic<std::size_t> count_{0};
};

} // namespace ron::core
