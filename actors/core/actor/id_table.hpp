#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace ron::core {

/// A map from ids (never 0) to small values in one flat array: open addressing with linear probing,
/// at most half full, no tombstones, no allocation once it has grown to its load. A pointer to a
/// value is good until the next `insert` or `erase`. One thread.
template <class Value>
class id_table {
public:
  std::size_t size() const noexcept { return size_; }

  /// The value of `id`, or null.
  Value* find(std::uint64_t id) noexcept {
    auto i = seek(id);
    return cells_[i].id == id ? &cells_[i].value : nullptr;
  }

  /// Adds `id`, which must not be there.
  Value& insert(std::uint64_t id, Value value) {
    if (2 * (size_ + 1) > cells_.size())
      grow();
    auto& place = cells_[seek(id)];
    place = {id, std::move(value)};
    ++size_;
    return place.value;
  }

  /// Removes `id` if it is there.
  void erase(std::uint64_t id) noexcept {
    auto hole = seek(id);
    if (cells_[hole].id != id)
      return;
    // Whoever has probed past the hole moves into it.
    for (auto i = after(hole); cells_[i].id != 0; i = after(i))
      if (((i - start(cells_[i].id)) & mask()) >= ((i - hole) & mask())) {
        cells_[hole] = std::move(cells_[i]);
        hole = i;
      }
    cells_[hole] = {};
    --size_;
  }

private:
  struct cell {
    std::uint64_t id = 0;
    Value value{};
  };

  std::size_t mask() const noexcept { return cells_.size() - 1; }
  std::size_t after(std::size_t i) const noexcept { return (i + 1) & mask(); }
  // Ids are mostly consecutive: the multiplication spreads them over the upper bits.
  std::size_t start(std::uint64_t id) const noexcept {
    return static_cast<std::size_t>((id * 0x9e3779b97f4a7c15) >> 32) & mask();
  }
  // The cell of `id`, or the free one where it would be.
  std::size_t seek(std::uint64_t id) const noexcept {
    auto i = start(id);
    while (cells_[i].id != id && cells_[i].id != 0)
      i = after(i);
    return i;
  }
  void grow() {
    auto old = std::exchange(cells_, std::vector<cell>(cells_.size() * 2));
    for (auto& c : old)
      if (c.id != 0)
        cells_[seek(c.id)] = std::move(c);
  }

  std::vector<cell> cells_ = std::vector<cell>(64);
  std::size_t size_ = 0;
};

} // namespace ron::core
