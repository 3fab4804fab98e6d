#pragma once

#include "core/actor/shard.hpp"
#include "core/clock.hpp"
#include "core/crypto/tls_session.hpp"
#include "transport/metrics.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>

namespace ron::transport {

class handshake_place;

/// Smooths handshakes; key `transport.accept-permits`. The costly part of a TLS handshake is
/// computed in one go when the client's first flight has arrived; a storm of them would hold up the
/// open connections of a shard. So at most `permits` are computed in a round, the others wait in
/// line, first come first served; a round ends when all sockets had their turn that were ready
/// when it began. Nobody holds a permit while it waits for the network, so a client that falls
/// silent keeps no other one out; its own deadline ends it.
///
/// Bounded by the connections, each of which waits at most once. One shard; made by make_shared.
class handshake_line : public std::enable_shared_from_this<handshake_line> {
public:
  /// `permits` of the node are shared by its `shards` shards, at least one each. `clock` outlives
  /// the line.
  handshake_line(core::shard& home, std::uint32_t permits, std::size_t shards,
                 std::shared_ptr<socket_metrics> metrics, const core::clock& clock)
    : home_(home),
      clock_(clock),
      metrics_(std::move(metrics)),
      permits_(share(permits, shards)) {
    // nop
  }

  /// As in the constructor; from the next round on. Any thread.
  void set_permits(std::uint32_t permits, std::size_t shards) noexcept {
    permits_.store(share(permits, shards), std::memory_order_relaxed);
  }

  /// Runs `step` now or in a later round.
  void enter(core::job step);

  std::size_t waiting() const noexcept { return waiting_.size(); }

private:
  friend class handshake_place;
  static std::uint32_t share(std::uint32_t permits, std::size_t shards) noexcept {
    return permits > shards ? permits / static_cast<std::uint32_t>(shards) : 1;
  }
  void next_round();
  void arm();

  core::shard& home_;
  const core::clock& clock_;
  std::shared_ptr<socket_metrics> metrics_;
  std::atomic<std::uint32_t> permits_; ///< of this shard, in a round
  std::uint32_t ran_ = 0; ///< in this round
  bool armed_ = false;
  std::deque<core::job> waiting_;
};

using handshake_line_ptr = std::shared_ptr<handshake_line>;

/// One handshake from accept to its end, counted by its outcome. Its link's shard.
class handshake_place {
public:
  explicit handshake_place(handshake_line_ptr line);
  handshake_place(const handshake_place&) = delete;
  handshake_place& operator=(const handshake_place&) = delete;
  ~handshake_place();

  handshake_line& line() const noexcept { return *line_; }
  /// How it ends. A handshake that nobody says this of was given up at its owner's deadline.
  void ends_as(handshake outcome) noexcept { outcome_ = outcome; }
  /// It is complete.
  void succeeds(const core::crypto::tls_info& agreed) noexcept;

private:
  handshake_line_ptr line_;
  core::instant began_;
  handshake outcome_ = handshake::timeout;
  key_exchange kex_ = key_exchange::classic;
};

} // namespace ron::transport
