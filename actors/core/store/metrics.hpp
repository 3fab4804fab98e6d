#pragma once

#include "core/metrics.hpp"
#include "core/store/environment.hpp"
#include "core/store/logged_store.hpp"
#include "core/store/writer.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ron::core::store {

/// What one environment and its writer report.
struct store_report {
  std::optional<environment_usage> usage; ///< none: as the last time
  writer_stats writer;
  std::optional<log_stats> log{}; ///< if one lies in front of it
};

/// One environment of the node, by its role: objects, index, mailbox.
struct store_source {
  std::string name;                      ///< value of the label `store`
  std::function<store_report()> report;  ///< quick; on the scraping thread
  bool logged = false;                   ///< its reports have a `log`
};

/// The families `lmdb_*{store}` of all environments of a node, and `store_log_*{store}` of those
/// with a log. Asks each source once a scrape. Must go before what the sources refer to.
class store_metrics {
public:
  store_metrics(metrics::registry& r, std::vector<store_source> sources);
  ~store_metrics();

private:
  struct cache;
  std::shared_ptr<cache> cache_;
  std::vector<std::unique_ptr<metrics::callback>> shown_;
};

} // namespace ron::core::store
