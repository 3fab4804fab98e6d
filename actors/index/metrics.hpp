#pragma once

#include "core/metrics.hpp"
#include "index/cache.hpp"
#include "index/store.hpp"

#include <cstdint>
#include <functional>
#include <memory>

namespace ron::index {

/// Lookups for which threads had to wait for a disk.
struct cold_lookups {
  std::uint64_t done = 0;
  std::uint64_t refused = 0; ///< because too many waited
  std::uint64_t waiting = 0; ///< for a thread
};

/// The families `index_*` of the store and of the names that are kept in RAM. Must go before the
/// registry.
class index_metrics {
public:
  /// `cold` is asked on the scraping thread.
  index_metrics(core::metrics::registry& r, std::shared_ptr<store> db,
                std::shared_ptr<name_cache> cache, const std::function<cold_lookups()>& cold);

private:
  core::metrics::callback stalled_;
  core::metrics::callback entries_;
  core::metrics::callback hits_;
  core::metrics::callback misses_;
  core::metrics::callback cold_;
  core::metrics::callback refused_;
  core::metrics::callback waiting_;
};

} // namespace ron::index
