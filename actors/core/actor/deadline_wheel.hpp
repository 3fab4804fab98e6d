#pragma once

#include "core/clock.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace ron::core {

/// Deadlines of which most are taken back before they come: adding and removing one costs a few
/// links and, once grown, no allocation. A hashed timing wheel of 4,096 slots of a millisecond: a
/// deadline comes up to one slot late, never early; one that is farther away than a revolution
/// stays in its slot until its time. Bounded by whoever adds. Pure; one thread.
template <class T>
class deadline_wheel {
public:
  using handle = std::uint32_t;
  static constexpr handle none = std::numeric_limits<handle>::max();
  static constexpr std::chrono::milliseconds grain{1};
  static constexpr std::size_t slots = 4'096;

  std::size_t size() const noexcept { return size_; }
  bool empty() const noexcept { return size_ == 0; }

  /// The handle is good until the deadline is removed or taken as due.
  handle add(instant due, T value) {
    auto tick = std::chrono::ceil<std::chrono::milliseconds>(due.time_since_epoch()) / grain;
    cursor_ = size_ == 0 ? tick : std::min(cursor_, tick);
    auto h = allocate();
    auto& e = entries_[h];
    e.value = std::move(value);
    e.tick = tick;
    link(h);
    ++size_;
    return h;
  }

  T& operator[](handle h) noexcept { return entries_[h].value; }

  /// Takes the deadline back.
  T remove(handle h) {
    unlink(h);
    --size_;
    auto value = std::move(entries_[h].value);
    entries_[h].value = T{};
    entries_[h].next = std::exchange(free_, h);
    return value;
  }

  /// Calls `f(handle)` for each deadline that has come by `now`; `f` must remove that one and no
  /// other.
  template <class F>
  void each_due(instant now, F f) {
    auto last = std::chrono::floor<std::chrono::milliseconds>(now.time_since_epoch()) / grain;
    auto steps = std::min<std::int64_t>(last - cursor_ + 1, slots);
    for (std::int64_t i = 0; i < steps && size_ > 0; ++i)
      for (auto h = heads_[slot_of(cursor_ + i)]; h != none;) {
        auto next = entries_[h].next;
        if (entries_[h].tick <= last)
          f(h);
        h = next;
      }
    cursor_ = std::max(cursor_, last + 1);
  }

  /// When to look again: not later than the next deadline, perhaps earlier; none when empty.
  std::optional<instant> next() const noexcept {
    if (size_ == 0)
      return std::nullopt;
    auto from = slot_of(cursor_);
    std::size_t distance = 0;
    while (distance < slots) {
      auto slot = (from + distance) % slots;
      auto rest = used_[slot / 64] >> (slot % 64);
      if (rest != 0) {
        distance += static_cast<std::size_t>(std::countr_zero(rest));
        break;
      }
      distance += 64 - slot % 64;
    }
    return instant{(cursor_ + static_cast<std::int64_t>(distance)) * grain};
  }

private:
  struct entry {
    T value{};
    std::int64_t tick = 0;
    handle previous = none;
    handle next = none;
  };

  static std::size_t slot_of(std::int64_t tick) noexcept {
    return static_cast<std::size_t>(tick) % slots;
  }
  handle allocate() {
    if (free_ != none)
      return std::exchange(free_, entries_[free_].next);
    entries_.emplace_back();
    return static_cast<handle>(entries_.size() - 1);
  }
  void link(handle h) noexcept {
    auto slot = slot_of(entries_[h].tick);
    auto& e = entries_[h];
    e.previous = none;
    e.next = std::exchange(heads_[slot], h);
    if (e.next != none)
      entries_[e.next].previous = h;
    used_[slot / 64] |= std::uint64_t{1} << (slot % 64);
  }
  void unlink(handle h) noexcept {
    auto& e = entries_[h];
    auto slot = slot_of(e.tick);
    (e.previous == none ? heads_[slot] : entries_[e.previous].next) = e.next;
    if (e.next != none)
      entries_[e.next].previous = e.previous;
    if (heads_[slot] == none)
      used_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
  }
  static constexpr std::array<handle, slots> no_heads() {
    std::array<handle, slots> a{};
    a.fill(none);
    return a;
  }

  std::vector<entry> entries_;
  handle free_ = none;
  std::size_t size_ = 0;
  std::int64_t cursor_ = 0; ///< first tick not looked at yet
  std::array<handle, slots> heads_ = no_heads();
  std::array<std::uint64_t, slots / 64> used_{}; ///< a bit per slot that is not empty
};

} // namespace ron::core
