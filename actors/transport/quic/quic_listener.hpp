#pragma once

#include "core/actor/shards.hpp"
#include "core/config_types.hpp"
#include "core/error.hpp"
#include "transport/quic/hub.hpp"

#include <cstddef>
#include <memory>

namespace ron::transport::quic {

/// The QUIC listener of one address: a hub on each shard.
struct quic_listeners {
  core::config::host_port address; ///< with the real port
  std::shared_ptr<const hub::family> hubs;

  /// Accepts no more connections, on all shards, soon. Open ones live on, and the sockets with
  /// them.
  void stop(core::shards& on) const;
};

/// Binds one socket per shard and starts. `buffer_bytes`: of each socket, in the kernel. Errors:
/// those of `bind_udp`. Any thread.
core::result<quic_listeners> start_quic(core::shards& on, const core::config::host_port& where,
                                        std::size_t buffer_bytes,
                                        std::shared_ptr<const hub_parts> parts);

} // namespace ron::transport::quic
