#pragma once

#include "core/actor/shard.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>

namespace ron::transport {

/// Smooths handshakes. The costly part of a TLS handshake is computed in one go when the client's
/// first flight has arrived; a storm of them would hold up the open connections of a shard. So at
/// most `per_turn` are computed in one turn of its loop, the others wait in line, first come first
/// served. Nobody holds a place while it waits for the network, so a client that falls silent
/// keeps no other one out; its own deadline ends it.
///
/// Bounded by the connections, each of which waits at most once. One shard; made by make_shared.
class handshake_line : public std::enable_shared_from_this<handshake_line> {
public:
  /// `permits` of the node are shared by its `shards` shards, at least one each.
  handshake_line(core::shard& home, std::uint32_t permits, std::size_t shards) noexcept
    : home_(home),
      per_turn_(permits > shards ? permits / static_cast<std::uint32_t>(shards) : 1) {
    // nop
  }

  /// Runs `step` now or in a later turn.
  void enter(core::job step);

  std::size_t waiting() const noexcept { return waiting_.size(); }

private:
  void next_turn();
  void run_some();
  void arm();

  core::shard& home_;
  std::uint32_t per_turn_;
  std::uint32_t ran_ = 0; ///< in this turn
  bool armed_ = false;
  std::deque<core::job> waiting_;
};

using handshake_line_ptr = std::shared_ptr<handshake_line>;

} // namespace ron::transport
