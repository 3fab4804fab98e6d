#pragma once

#include "core/bytes.hpp"
#include "core/limits.hpp"
#include "storage/stats.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

namespace ron::storage {

/// Groups that were verified once and are held since: what is found here need not be hashed again.
/// Bounded in bytes, least recently used out first, in stripes with a lock each. Keyed by the
/// store's own object numbers, which are not used twice while a process runs. Any thread.
///
/// Only a group that is read for the second time comes in, as in the 2Q policy (Johnson and Shasha
/// 1994), while there is room as well: one pass over a large object throws nothing out, and what is
/// read once stays in memory that the processor's caches hold already, where room that was never
/// used is memory that the kernel has to find and clear first.
class verified_cache {
public:
  /// `bytes_max` 0 = off. `piece_bytes`: the usual size of what is put in; it decides how many are
  /// remembered.
  explicit verified_cache(std::uint64_t bytes_max,
                          std::size_t piece_bytes = core::limits::chunk_bytes);

  std::optional<core::bytes> find(std::uint64_t object, std::uint64_t group);
  /// Keeps `data`, which must have been verified, or remembers only that it was read. A group
  /// larger than the share of a stripe is not kept. A cache too small to remember keeps at once.
  void put(std::uint64_t object, std::uint64_t group, const core::bytes& data);
  /// Changes the bound; a smaller one acts at once.
  void set_max(std::uint64_t bytes_max);

  cache_stats stats() const;

private:
  static constexpr std::size_t stripes = 8;
  static constexpr std::size_t entry_bytes = 160; ///< what an entry costs besides its bytes
  /// Pieces remembered for each that fits; each costs 8 bytes.
  static constexpr std::size_t seen_per_piece = 4;

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
    /// Hashes of groups that were read and not kept, each in the place that it chooses: a later one
    /// may push it out.
    std::vector<std::uint64_t> seen;
    std::uint64_t bytes = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
    std::uint64_t evicted = 0;
    std::uint64_t passed = 0;
  };

  stripe& stripe_of(const place& p) noexcept { return stripes_[place_hash{}(p) % stripes]; }
  static void shrink(stripe& s, std::uint64_t share);
  /// True if it was read before, as far as is remembered; from now on it was.
  static bool seen_before(stripe& s, std::uint64_t hash) noexcept;

  const std::size_t piece_bytes_;
  std::atomic<std::uint64_t> bytes_max_{0};
  std::array<stripe, stripes> stripes_;
};

} // namespace ron::storage
