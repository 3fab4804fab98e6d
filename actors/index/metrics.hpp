#pragma once

#include "core/metrics.hpp"
#include "index/cache.hpp"
#include "index/store.hpp"

#include <memory>

namespace ron::index {

/// The families `index_*` of the store and of the names that are kept in RAM. Must go before the
/// registry.
class index_metrics {
public:
  index_metrics(core::metrics::registry& r, std::shared_ptr<store> db,
                std::shared_ptr<name_cache> cache);

private:
  core::metrics::callback stalled_;
  core::metrics::callback entries_;
  core::metrics::callback hits_;
  core::metrics::callback misses_;
};

} // namespace ron::index
