#pragma once

#include "core/bytes.hpp"
#include "storage/stats.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>

namespace ron::storage {

/// Groups that were verified once and are held since: what is found here need not be hashed again.
/// Bounded in bytes, least recently used out first, in stripes with a lock each. Keyed by the
/// store's own object numbers, which are not used twice while a process runs. Any thread.
class verified_cache {
public:
  /// `bytes_max` 0 = off.
  explicit verified_cache(std::uint64_t bytes_max) noexcept : bytes_max_(bytes_max) {}

  std::optional<core::bytes> find(std::uint64_t object, std::uint64_t group);
  /// Keeps `data`, which must have been verified. A group larger than the share of a stripe is
  /// not kept.
  void put(std::uint64_t object, std::uint64_t group, const core::bytes& data);
  /// Changes the bound; a smaller one acts at once.
  void set_max(std::uint64_t bytes_max);

  cache_stats stats() const;

private:
  static constexpr std::size_t stripes = 8;
  static constexpr std::size_t entry_bytes = 160; ///< what an entry costs besides its bytes

  struct place {
    std::uint64_t object = 0;
    std::uint64_t group = 0;
    bool operator==(const place&) const = default;
  };
  struct place_hash {
    std::size_t operator()(const place& p) const noexcept;
  };
  struct entry {
    place at;
    core::bytes data;
  };
  struct alignas(64) stripe {
    mutable std::mutex mutex;
    std::list<entry> order; ///< most recently used first
    std::unordered_map<place, std::list<entry>::iterator, place_hash> entries;
    std::uint64_t bytes = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evicted = 0;
  };

  stripe& stripe_of(const place& p) noexcept { return stripes_[place_hash{}(p) % stripes]; }
  static void shrink(stripe& s, std::uint64_t share);

  std::atomic<std::uint64_t> bytes_max_;
  std::array<stripe, stripes> stripes_;
};

} // namespace ron::storage
