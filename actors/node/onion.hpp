#pragma once

#include "core/actor/shards.hpp"
#include "core/clock.hpp"
#include "core/config.hpp"
#include "core/metrics.hpp"
#include "node/readiness.hpp"
#include "node/start_failure.hpp"
#include "transport/operation.hpp"
#include "transport/peer_address.hpp"
#include "transport/tor/onion_actor.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ron::node {

/// True if the node is to have an onion service.
bool wants_onion(const core::node_config& c) noexcept;

/// The node's onion service: who publishes it and what is known of it. Its connections are those of
/// a listener of its own, which `servers` opens.
class onion {
public:
  explicit onion(core::metrics::registry& registry);

  /// What all its peers are called and counted as: the trust class `tor`, which has no address.
  static transport::peer_address peers();

  /// Has the daemon bring to `target` ("127.0.0.1:4711", "unix:/path") what comes to the onion
  /// address. Errors: a control address with a name in it, a key file that cannot be used.
  started<void> publish(core::shards& on, const core::node_config& c, std::string target,
                        const core::clock& clock);
  /// Takes it down, soon. Idempotent.
  void stop();

  /// Appends `tor_bootstrap` and `tor_hs_published`.
  void add_keys(std::vector<readiness_key>& keys) const;
  /// `GET /admin/tor`.
  transport::operation admin_row() const;

private:
  std::shared_ptr<transport::tor::onion_status> status_;
  transport::tor::onion_actor actor_;
};

} // namespace ron::node
