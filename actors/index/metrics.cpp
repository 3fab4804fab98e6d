#include "index/metrics.hpp"

#include <utility>

namespace ron::index {

using core::metrics::kind;

index_metrics::index_metrics(core::metrics::registry& r, std::shared_ptr<store> db,
                             std::shared_ptr<name_cache> cache,
                             const std::function<cold_lookups()>& cold)
  : stalled_(r, kind::gauge, "index_stalled", "1 while a call into the store does not come back",
             [db = std::move(db)] { return db->stalled() ? 1.0 : 0.0; }),
    entries_(r, kind::gauge, "index_cache_entries", "Names kept in RAM",
             [cache] { return static_cast<double>(cache->size()); }),
    hits_(r, kind::counter, "index_cache_hits_total", "Lookups that RAM answered",
          [cache] { return static_cast<double>(cache->hits()); }),
    misses_(r, kind::counter, "index_cache_misses_total", "Lookups that went to the store",
            [cache] { return static_cast<double>(cache->misses()); }),
    cold_(r, kind::counter, "index_lookups_cold_total", "Lookups that had to wait for a disk",
          [cold] { return static_cast<double>(cold().done); }),
    refused_(r, kind::counter, "index_lookups_refused_total",
             "Lookups refused because too many waited for a disk",
             [cold] { return static_cast<double>(cold().refused); }),
    waiting_(r, kind::gauge, "index_lookups_waiting",
             "Lookups that wait for a thread which waits for the disk",
             [cold] { return static_cast<double>(cold().waiting); }) {
  // nop
}

} // namespace ron::index
