#pragma once

#include "core/sip_hash.hpp"
#include "oap/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ron::oap {

/// A hash table from corr to a small value: open addressing, linear probing, no node per entry.
/// Mixed with a secret of the process, because the peer chooses corrs. As large as its owner lets
/// it become; the owner bounds the number of entries.
template <class V>
class corr_map {
public:
  std::size_t size() const noexcept { return used_; }

  /// The value of `corr`, null if there is none. Valid until the next insert or erase.
  V* find(corr_t corr) noexcept {
    if (used_ == 0)
      return nullptr;
    for (auto i = home(corr);; i = next(i)) {
      if (slots_[i].first == corr)
        return &slots_[i].second;
      if (slots_[i].first == 0)
        return nullptr;
    }
  }
  const V* find(corr_t corr) const noexcept { return const_cast<corr_map*>(this)->find(corr); }

  /// Precondition: `corr` is not 0 and not in the table.
  void insert(corr_t corr, V value) {
    if ((used_ + 1) * 2 > slots_.size())
      resize(slots_.empty() ? 16 : slots_.size() * 2);
    place(corr, std::move(value));
    ++used_;
  }

  /// False if there is no such entry.
  bool erase(corr_t corr) noexcept {
    if (used_ == 0)
      return false;
    auto i = home(corr);
    while (slots_[i].first != corr) {
      if (slots_[i].first == 0)
        return false;
      i = next(i);
    }
    // Closes the gap: whatever may move nearer to its home does.
    for (auto j = next(i); slots_[j].first != 0; j = next(j)) {
      auto at_home = home(slots_[j].first);
      if (((j - at_home) & mask()) >= ((j - i) & mask())) {
        slots_[i] = std::move(slots_[j]);
        i = j;
      }
    }
    slots_[i] = {};
    --used_;
    return true;
  }

  std::size_t memory_bytes() const noexcept { return slots_.capacity() * sizeof(slot); }
  /// Frees the memory of an empty table.
  void trim() noexcept {
    if (used_ == 0)
      slots_ = decltype(slots_){};
  }

private:
  using slot = std::pair<corr_t, V>;

  std::size_t mask() const noexcept { return slots_.size() - 1; }
  std::size_t next(std::size_t i) const noexcept { return (i + 1) & mask(); }
  std::size_t home(corr_t corr) const noexcept {
    static const std::uint64_t secret = core::keyed_hash(std::string_view{"oap"});
    auto x = (corr ^ secret) * 0x9e3779b97f4a7c15u;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93u;
    return (x ^ (x >> 32)) & mask();
  }
  void place(corr_t corr, V value) noexcept {
    auto i = home(corr);
    while (slots_[i].first != 0)
      i = next(i);
    slots_[i] = {corr, std::move(value)};
  }
  void resize(std::size_t n) {
    std::vector<slot> old(n);
    old.swap(slots_);
    for (auto& s : old)
      if (s.first != 0)
        place(s.first, std::move(s.second));
  }

  std::vector<slot> slots_; ///< a power of two, at most half full; key 0 = free
  std::size_t used_ = 0;
};

} // namespace ron::oap
