#pragma once

#include "transport/peer_address.hpp"

#include <atomic>
#include <cstdint>
#include <expected>
#include <memory>
#include <mutex>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace ron::transport {

/// Why a socket was closed right after it was accepted; metric label.
enum class refusal : std::uint8_t {
  conn_cap,    ///< the node holds as many connections as it may
  per_peer,    ///< this peer does
  transient,   ///< too many connections have not said who they are yet
  descriptors, ///< the process has no descriptor left
  user,        ///< of another user, who may not connect to this UNIX socket
};
inline constexpr std::size_t refusal_count = 5;
std::string_view to_string(refusal r) noexcept;

class connection_budget;

/// One connection's place in the budget; given back when it goes. Any thread.
class connection_slot {
public:
  connection_slot() noexcept = default;
  connection_slot(connection_slot&& o) noexcept
    : budget_(std::move(o.budget_)), peer_(o.peer_), settled_(o.settled_) {
    // nop
  }
  connection_slot& operator=(connection_slot&& o) noexcept {
    std::swap(budget_, o.budget_);
    std::swap(peer_, o.peer_);
    std::swap(settled_, o.settled_);
    return *this;
  }
  ~connection_slot();

  /// The connection is transient no more: its HELLO or its first request has come. Idempotent.
  void settle() noexcept;

  explicit operator bool() const noexcept { return budget_ != nullptr; }

private:
  friend class connection_budget;
  connection_slot(std::shared_ptr<connection_budget> b, const peer_key& peer) noexcept
    : budget_(std::move(b)), peer_(peer) {
    // nop
  }
  std::shared_ptr<connection_budget> budget_;
  peer_key peer_;
  bool settled_ = false;
};

/// Limits of a `connection_budget`; keys of the section `transport`.
struct connection_limits {
  std::uint32_t connections_max = 10'000;
  std::uint32_t per_peer_max = 256;
  std::uint32_t transient_max = 1'024; ///< without HELLO or a first request
};

/// How many connections the node and each peer may have, over all listeners and shards. Asked
/// once per connection, so a lock is cheap enough. The map is bounded by the connections. Any
/// thread.
class connection_budget : public std::enable_shared_from_this<connection_budget> {
public:
  /// Made by make_shared: slots keep the budget alive.
  explicit connection_budget(const connection_limits& limits) noexcept { set_limits(limits); }

  /// A place for a connection of `peer`. A peer without an address (UNIX socket) counts for the
  /// node only.
  std::expected<connection_slot, refusal> enter(const peer_key& peer);

  /// New limits; connections that exceed them stay. For a reload.
  void set_limits(const connection_limits& limits) noexcept;
  /// Refuses everybody while memory is short.
  void close(bool closed) noexcept { closed_ = closed; }

  std::uint32_t connections() const noexcept { return count_; }
  std::uint32_t connections_max() const noexcept { return max_; }
  std::uint32_t transient() const noexcept { return transient_; }

private:
  friend class connection_slot;
  void leave(const peer_key& peer) noexcept;

  std::atomic<std::uint32_t> max_{0};
  std::atomic<std::uint32_t> per_peer_max_{0};
  std::atomic<std::uint32_t> transient_max_{0};
  std::atomic<std::uint32_t> count_{0};
  std::atomic<std::uint32_t> transient_{0};
  std::atomic<bool> closed_{false};
  std::mutex mutex_;
  std::unordered_map<peer_key, std::uint32_t> by_peer_;
};

using connection_budget_ptr = std::shared_ptr<connection_budget>;

} // namespace ron::transport
