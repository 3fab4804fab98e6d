#pragma once

#include "core/metrics.hpp"
#include "index/store.hpp"

#include <memory>

namespace ron::index {

/// The families `index_*` of the store. Must go before the registry.
class index_metrics {
public:
  index_metrics(core::metrics::registry& r, std::shared_ptr<store> db);

private:
  core::metrics::callback stalled_;
};

} // namespace ron::index
