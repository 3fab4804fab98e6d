#pragma once

#include "core/clock.hpp"
#include "core/ids.hpp"
#include "index/record.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace ron::index {

/// Bounds and times of the cache.
struct cache_limits {
  std::size_t entries_max = 100'000; ///< 0 = none
  std::chrono::milliseconds ttl{10'000};
  std::chrono::milliseconds negative_ttl{2'000};

  bool operator==(const cache_limits&) const = default;
};

/// What is cached under a name: the record and the manifest of its object, or that there is none.
struct cached_name {
  std::optional<name_record> record; ///< none = known not to exist
  std::string manifest;
};

/// Names that were looked up lately, shared by all shards: bounded, least recently used out first,
/// with time to live on the boot clock, so that a suspended machine wakes with an old cache empty.
///
/// A write drops its name before it is acknowledged. A reader that looked the name up before the
/// write cannot bring the old record back: it must present the ticket it took first.
/// Any thread.
class name_cache {
public:
  explicit name_cache(const cache_limits& limits) { set_limits(limits); }

  /// Other bounds and times from now on; what was cached by the old ones is forgotten.
  void set_limits(const cache_limits& limits);

  /// Proof of when a lookup began.
  using ticket = std::uint64_t;

  /// The entry of `name` if it is fresh; else nothing and, in `t`, the ticket for `put`.
  std::optional<cached_name> find(std::string_view name, core::boot_instant now, ticket& t);
  /// Remembers a lookup; does nothing if the name was dropped after `t` was taken.
  void put(std::string_view name, cached_name entry, core::boot_instant now, ticket t);
  /// Forgets `name` and every lookup of its stripe that is under way.
  void drop(std::string_view name);

  std::size_t size() const;
  std::uint64_t hits() const noexcept;
  std::uint64_t misses() const noexcept;

private:
  static constexpr std::size_t stripes = 16; ///< locks
  struct entry {
    std::string name;
    cached_name value;
    core::boot_instant expires;
  };
  struct alignas(64) stripe {
    mutable std::mutex mutex;
    cache_limits limits;     ///< times, and the bound of this stripe
    std::list<entry> recent; ///< most recently used first
    std::unordered_map<std::string_view, std::list<entry>::iterator> by_name; ///< keys in `recent`
    ticket generation = 0;
    std::uint64_t hits = 0;
    std::uint64_t misses = 0;
  };
  stripe& at(std::string_view name) noexcept;

  std::array<stripe, stripes> stripes_;
};

} // namespace ron::index
