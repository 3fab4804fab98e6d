#pragma once

#include "core/clock.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <utility>
#include <vector>

namespace ron::mailbox {

/// Messages in the order of a point in time, then of their sequence numbers: a set. Most come in
/// order and leave at the front or near it, so these lie in a row, and only those that come out of
/// order in a tree. A row costs a third of a tree's memory and no allocation a message.
///
/// Holds no more than what is in it and as much again that has left (`held`). One owner.
class timeline {
public:
  struct entry {
    core::instant when{};
    std::uint64_t seq = 0;
    auto operator<=>(const entry&) const = default;
  };

  /// It is not in there yet.
  void insert(const entry& e) {
    if (row_.size() == head_ || row_.back().what < e)
      row_.push_back({e});
    else
      late_.insert(e);
  }

  /// Nothing if it is not there.
  void erase(const entry& e) {
    const auto i = std::lower_bound(row_.begin() + static_cast<std::ptrdiff_t>(head_), row_.end(),
                                    e, [](const place& p, const entry& x) { return p.what < x; });
    if (i == row_.end() || i->what != e || i->gone) {
      late_.erase(e); // where it also is when it came back
      return;
    }
    i->gone = true;
    ++gone_;
    tidy();
  }

  /// The first; only with one.
  const entry& front() const noexcept {
    return late_comes_first() ? *late_.begin() : row_[head_].what;
  }
  /// Takes it out.
  void pop_front() {
    if (late_comes_first()) {
      late_.erase(late_.begin());
      return;
    }
    ++head_;
    tidy();
  }

  bool empty() const noexcept { return row_.size() == head_ && late_.empty(); }
  std::size_t size() const noexcept { return row_.size() - head_ - gone_ + late_.size(); }
  /// Places in memory, those of entries that have left included.
  std::size_t held() const noexcept { return row_.capacity() + late_.size(); }

private:
  struct place {
    entry what;
    bool gone = false; ///< it has left; the order needs it
  };

  bool late_comes_first() const noexcept {
    return !late_.empty() && (row_.size() == head_ || *late_.begin() < row_[head_].what);
  }

  /// The first place is taken by an entry, and most places are.
  void tidy() {
    for (; head_ < row_.size() && row_[head_].gone; --gone_)
      ++head_;
    const auto left = row_.size() - head_ - gone_;
    if (row_.size() < kept_always || left > row_.size() / 2)
      return;
    std::vector<place> rest;
    rest.reserve(2 * left);
    std::copy_if(row_.begin() + static_cast<std::ptrdiff_t>(head_), row_.end(),
                 std::back_inserter(rest), [](const place& p) { return !p.gone; });
    row_ = std::move(rest);
    head_ = 0;
    gone_ = 0;
  }

  static constexpr std::size_t kept_always = 32; ///< places; fewer are not worth the work

  std::vector<place> row_;   ///< in order, from `head_` on
  std::size_t head_ = 0;     ///< what is before has left
  std::size_t gone_ = 0;     ///< so many from there on have left too
  std::set<entry> late_;
};

} // namespace ron::mailbox
