#pragma once

#include "core/metrics.hpp"
#include "mailbox/partition.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace ron::mailbox {

/// What bounds the mail of a node, shown beside what it holds.
struct mail_bounds {
  std::uint64_t messages_max = 0;
  std::uint64_t bytes_max = 0;
};

/// The families `mailbox_*` of a node: what is held against its bounds, and what became of it. Asks
/// once a scrape. (What LMDB reports is in `core::store::store_metrics`.)
class mailbox_metrics {
public:
  mailbox_metrics(core::metrics::registry& r, std::function<partition_stats()> stats,
                  mail_bounds bounds);
  ~mailbox_metrics();

private:
  struct cache;
  std::shared_ptr<cache> cache_;
  std::vector<std::unique_ptr<core::metrics::callback>> shown_;
};

} // namespace ron::mailbox
