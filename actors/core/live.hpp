#pragma once

#include <atomic>
#include <memory>
#include <utility>

/// Settings that a reload changes while they are used. A `live` is a whole set of them: whoever
/// begins something that lasts, a connection mostly, takes the present one and keeps it. A `knob`
/// is a single figure: whoever uses it looks each time, which costs a plain load.
namespace ron::core {

/// The present settings of something. Any thread.
template <class T>
class live {
public:
  using ptr = std::shared_ptr<const T>;

  live() : live(T{}) {}
  explicit live(T first) : now_(std::make_shared<const T>(std::move(first))) {
    // nop
  }

  /// Never null. What it points to stays as it is, whatever is set later.
  ptr get() const noexcept { return now_.load(std::memory_order_acquire); }
  /// For those who begin from now on.
  void set(T next) {
    now_.store(std::make_shared<const T>(std::move(next)), std::memory_order_release);
  }

private:
  std::atomic<ptr> now_;
};

/// One figure that holds for everybody from the moment it is set. Copies share it; one that is
/// assigned shares with its new origin. Any thread.
template <class T>
class knob {
public:
  knob(T first = {}) : now_(std::make_shared<std::atomic<T>>(first)) { // NOLINT: a figure is one
    static_assert(std::atomic<T>::is_always_lock_free);
  }

  T get() const noexcept { return now_->load(std::memory_order_relaxed); }
  operator T() const noexcept { return get(); } // NOLINT: used like the figure
  /// For all copies.
  void set(T next) const noexcept { now_->store(next, std::memory_order_relaxed); }

private:
  std::shared_ptr<std::atomic<T>> now_;
};

} // namespace ron::core
