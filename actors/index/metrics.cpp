#include "index/metrics.hpp"

#include <utility>

namespace ron::index {

index_metrics::index_metrics(core::metrics::registry& r, std::shared_ptr<store> db,
                             std::shared_ptr<name_cache> cache)
  : stalled_(r, core::metrics::kind::gauge, "index_stalled",
             "1 while a call into the store does not come back",
             [db = std::move(db)] { return db->stalled() ? 1.0 : 0.0; }),
    entries_(r, core::metrics::kind::gauge, "index_cache_entries", "Names kept in RAM",
             [cache] { return static_cast<double>(cache->size()); }),
    hits_(r, core::metrics::kind::counter, "index_cache_hits_total", "Lookups that RAM answered",
          [cache] { return static_cast<double>(cache->hits()); }),
    misses_(r, core::metrics::kind::counter, "index_cache_misses_total",
            "Lookups that went to the store",
            [cache] { return static_cast<double>(cache->misses()); }) {
  // nop
}

} // namespace ron::index
