#pragma once

#include <cstddef>
#include <vector>

namespace caf {
class resumable;
} // namespace caf

namespace ron::core {

/// First in, first out, over a power-of-two ring that grows and never shrinks: no allocation once
/// a shard has seen its load. Its length is bounded by the number of live actors and accepted
/// jobs, because an actor is queued at most once. One thread.
class run_queue {
public:
  bool empty() const noexcept { return head_ == tail_; }
  std::size_t size() const noexcept { return tail_ - head_; }

  void push(caf::resumable* item) {
    if (size() == ring_.size())
      grow();
    ring_[tail_++ & (ring_.size() - 1)] = item;
  }

  /// The oldest item. Only while not `empty()`.
  caf::resumable* pop() noexcept { return ring_[head_++ & (ring_.size() - 1)]; }

private:
  void grow() {
    std::vector<caf::resumable*> larger(ring_.size() * 2);
    auto n = size();
    for (std::size_t i = 0; i < n; ++i)
      larger[i] = ring_[(head_ + i) & (ring_.size() - 1)];
    ring_.swap(larger);
    head_ = 0;
    tail_ = n;
  }

  std::vector<caf::resumable*> ring_ = std::vector<caf::resumable*>(256);
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

} // namespace ron::core
