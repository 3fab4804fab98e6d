#pragma once

#include "core/actor/actor.hpp"
#include "core/config_types.hpp"
#include "transport/tor/control.hpp"
#include "transport/tor/onion_status.hpp"

#include <functional>
#include <memory>
#include <string>

namespace ron::transport::tor {

/// Keeps one onion service published for as long as it lives: connects to the daemon's control
/// port, and again, with a growing pause, whenever that fails.
using onion_actor = caf::typed_actor<
  // Takes the service down; connections that came through it live on. The actor ends.
  caf::replies_to<atom::stop>::with<atom::ok>>;

struct onion_parts {
  core::config::host_port control; ///< a numeric address
  control_settings service;        ///< `nonce` is filled in for each connection
  std::shared_ptr<onion_status> status;
  const core::clock* clock = nullptr; ///< outlives the actor
  /// Keeps a new key beyond the life of the actor, which keeps it anyway; empty: nobody does.
  std::function<void(const std::string& key)> keep_key;
};

/// Spawns the actor on shard 0. Any thread.
onion_actor start_onion(core::shards& on, onion_parts parts);

} // namespace ron::transport::tor
