#pragma once

#include "core/hash.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <span>

namespace ron::storage {

/// Nodes of the trees above objects that were verified up to the object's id and are held in our
/// own memory since: a group need only be verified up to the first one of them. Bounded; each node
/// has one place, where a later one may push it out. Keyed by the store's own object numbers, which
/// are not used twice while a process runs. Any thread.
class verified_nodes {
public:
  using node = std::array<std::uint8_t, core::b3::node_bytes>;

  /// `bytes_max`: memory, touched as it is used; less than a node in each stripe = off.
  explicit verified_nodes(std::uint64_t bytes_max) { set_max(bytes_max); }

  bool find(std::uint64_t object, std::uint64_t index, node& to) const {
    const auto hash = hash_of(object, index);
    const auto& s = stripes_[hash % stripes];
    std::lock_guard guard{s.mutex};
    if (s.count == 0)
      return false;
    const auto& e = s.entries[hash / stripes % s.count];
    if (e.object != object + 1 || e.index != index)
      return false;
    to = e.data;
    return true;
  }
  /// Keeps a node that was verified.
  void put(std::uint64_t object, std::uint64_t index,
           std::span<const std::uint8_t, core::b3::node_bytes> data);
  /// Changes the bound, and forgets all.
  void set_max(std::uint64_t bytes_max);

private:
  static constexpr std::size_t stripes = 8;

  struct entry {
    std::uint64_t object; ///< its number + 1; 0 = no node here
    std::uint64_t index;
    node data;
  };
  struct free_memory {
    void operator()(entry* p) const noexcept { std::free(p); }
  };
  struct alignas(64) stripe {
    mutable std::mutex mutex;
    std::unique_ptr<entry[], free_memory> entries;
    std::size_t count = 0;
  };

  static std::uint64_t hash_of(std::uint64_t object, std::uint64_t index) noexcept {
    // As in `verified_cache`: nobody can choose collisions.
    auto x = object * 0x9E3779B97F4A7C15u + index;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
  }

  std::array<stripe, stripes> stripes_;
};

} // namespace ron::storage
