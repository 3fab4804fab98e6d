#pragma once

#include "core/metrics.hpp"
#include "node/reload.hpp"
#include "node/status.hpp"
#include "transport/operation.hpp"

#include <functional>
#include <memory>
#include <vector>

namespace ron::node {

/// What the operations endpoints look at.
struct operations_parts {
  std::shared_ptr<const status> state;
  const core::metrics::registry* metrics = nullptr;
  std::function<void()> drain; ///< starts the ordered stop; any shard
  reload_requests* reload = nullptr;
};

/// `/healthz`, `/readyz`, `/version` and OAP's `ready`: on every listener.
std::vector<transport::operation> public_operations(const operations_parts& parts);

/// The same and `/metrics`, `/admin/drain`, `/admin/reload`: on the admin listener, loopback by
/// default.
std::vector<transport::operation> admin_operations(const operations_parts& parts);

} // namespace ron::node
