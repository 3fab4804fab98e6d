#pragma once

#include "core/actor/actor.hpp"
#include "core/bytes.hpp"
#include "transport/connection_budget.hpp"
#include "transport/listen_socket.hpp"
#include "transport/metrics.hpp"
#include "transport/peer_address.hpp"
#include "transport/unique_fd.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace ron::transport {

/// A socket that a listener has let in.
struct accepted {
  unique_fd fd;         ///< connected, non-blocking
  peer_address peer;
  connection_slot slot; ///< to be kept as long as the connection
  entrance label = entrance::oap_tls; ///< where it came in
};

/// Makes the actor of a connection, by `spawn_here(listener, ...)`. Called as the listener on its
/// shard; each shard has a copy of its own.
using connection_factory = std::function<void(caf::local_actor* listener, accepted)>;

struct listener_settings {
  entrance label = entrance::oap_tls;
  connection_budget_ptr budget{};
  std::shared_ptr<socket_metrics> metrics{};
  /// Descriptors from this number on are left to others (stores, the admin listener): a connection
  /// that gets one is closed at once. 0: no such limit.
  int descriptors_end = 0;
  /// Stands for every peer in place of its address: an onion service's circuits come from loopback.
  std::optional<peer_address> all_peers{};
  /// Of a UNIX socket: the user ids that may connect, by SO_PEERCRED. Empty: everybody who reaches
  /// it.
  std::vector<std::uint32_t> users{};
  /// Written (if the socket takes it at once) before a connection over the limits is closed; a
  /// plain HTTP listener says 503 with it.
  core::bytes refusal{};
};

/// Accepts on one socket of one shard. At most `accepts_per_turn` connections before others get
/// their turn. Never spins: without descriptors it takes connections off the queue with a
/// descriptor kept for that purpose and closes them, and rests for `rest` if even that fails.
using listener_actor = caf::typed_actor<
  // Closes the socket; connections that were let in live on. The listener ends.
  caf::replies_to<atom::stop>::with<atom::ok>>;

struct listener_state;

listener_actor::behavior_type make_listener(core::actor_self<listener_actor, listener_state> self,
                                            unique_fd socket, listener_settings settings,
                                            connection_factory make);

/// The listeners of one address, one per shard.
struct listeners {
  core::config::host_port address; ///< with the real port
  std::vector<listener_actor> actors;

  /// Stops accepting, on all shards, soon.
  void stop() const;
};

/// Binds and spawns one listener per shard. Errors: those of `listen_tcp`. Any thread.
core::result<listeners> start_listeners(core::shards& on, const core::config::host_port& where,
                                        const socket_options& options,
                                        const listener_settings& settings,
                                        const connection_factory& make);

/// One listener on shard 0 over a socket that listens already (UNIX socket).
listener_actor start_listener(core::shards& on, unique_fd socket,
                              const listener_settings& settings, const connection_factory& make);

} // namespace ron::transport
