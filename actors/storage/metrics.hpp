#pragma once

#include "core/metrics.hpp"
#include "storage/backend.hpp"
#include "storage/replicator.hpp"

#include <memory>
#include <vector>

namespace ron::storage {

/// The families `storage_*` of a back end, which is asked once a scrape. (What LMDB reports is in
/// `core::store::store_metrics`.)
class storage_metrics {
public:
  storage_metrics(core::metrics::registry& r, std::shared_ptr<backend> db);
  ~storage_metrics();

private:
  struct cache;
  std::shared_ptr<cache> cache_;
  std::vector<std::unique_ptr<core::metrics::callback>> shown_;
};

/// The families `rf_*` and `replication_*` of a replicator, or of a store without one.
class replication_metrics {
public:
  replication_metrics(core::metrics::registry& r, std::shared_ptr<replicator> copies);
  ~replication_metrics();

private:
  struct cache;
  std::shared_ptr<cache> cache_;
  std::vector<std::unique_ptr<core::metrics::callback>> shown_;
};

} // namespace ron::storage
