#include "index/metrics.hpp"

#include <utility>

namespace ron::index {

index_metrics::index_metrics(core::metrics::registry& r, std::shared_ptr<store> db)
  : stalled_(r, core::metrics::kind::gauge, "index_stalled",
             "1 while a call into the store does not come back",
             [db = std::move(db)] { return db->stalled() ? 1.0 : 0.0; }) {
  // nop
}

} // namespace ron::index
