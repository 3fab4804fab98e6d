#pragma once

#include "core/store/environment.hpp"
#include "core/store/writer.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace ron::storage {

/// What a cache of verified groups has done; totals since start except `bytes` and `groups`.
struct cache_stats {
  std::uint64_t hits = 0;
  std::uint64_t misses = 0;
  std::uint64_t evicted = 0;
  std::uint64_t passed = 0; ///< read for the first time as far as is known, not kept
  std::uint64_t bytes = 0;
  std::uint64_t bytes_max = 0;
  std::uint64_t groups = 0;
};

/// The whole store as it is now; totals since start.
struct storage_stats {
  std::uint64_t objects = 0;        ///< stored now
  std::uint64_t bytes = 0;          ///< of stored objects
  std::uint64_t reserved = 0;       ///< taken by unfinished uploads
  std::uint64_t quota = 0;          ///< 0 = none
  std::uint64_t puts_open = 0;      ///< unfinished uploads now
  std::uint64_t pending_bytes = 0;  ///< of uploads, on their way to the disk
  std::uint64_t puts = 0;           ///< finished
  std::uint64_t puts_failed = 0;    ///< refused, aborted or collected
  std::uint64_t reads = 0;          ///< chunks served
  std::uint64_t reads_cold = 0;     ///< that waited for a disk
  std::uint64_t bytes_in = 0;       ///< of finished uploads
  std::uint64_t bytes_out = 0;
  std::uint64_t verified = 0;       ///< groups hashed to be served
  std::uint64_t corrupt = 0;        ///< groups that did not hash to their id
  std::uint64_t scrubbed = 0;       ///< groups looked at by scrubs
  std::uint64_t work = 0;           ///< objects to be copied or repaired, see replication
  std::uint64_t releases = 0;       ///< deleted objects that peers have to hear of
  std::uint64_t releases_lost = 0;  ///< that they will not hear of, since start: the list was full
  std::uint64_t collect_failed = 0; ///< steps of removing deleted bytes that failed, LMDB only
  bool writable = true;             ///< false after a write failed, until one succeeds
  bool stalled = false;             ///< a call into the store does not come back
  cache_stats cache;
  cache_stats outboards; ///< pages of trees, LMDB only
  std::optional<core::store::environment_usage> map; ///< LMDB only
  std::optional<core::store::writer_stats> writer;   ///< LMDB only
};

} // namespace ron::storage
