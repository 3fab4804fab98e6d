#pragma once

#include "core/actor/shard.hpp"
#include "core/clock.hpp"
#include "core/live.hpp"
#include "transport/connection_budget.hpp"
#include "transport/listener.hpp"
#include "transport/quic/endpoint.hpp"
#include "transport/quic/metrics.hpp"
#include "transport/quic/quic_link.hpp"
#include "transport/quic/udp_socket.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace ron::transport::quic {

/// Gives a connection that has shaken hands its actor. On its shard.
using open_connection = std::function<void(core::shard& here, quic_link_ptr link)>;

/// What a connection is accepted with; it keeps all of it, but `frame_timeout` is everybody's.
struct connection_offer {
  connection_settings connections;
  std::uint32_t frame_max = 0;                    ///< that our HELLO announces
  std::chrono::milliseconds frame_timeout{5'000}; ///< for the rest of a frame that has begun
  open_connection open;
};

/// What all QUIC connections of one listener share.
struct hub_parts {
  core::live<connection_offer> offer;
  endpoint_limits limits;
  /// The context for the next connection on a shard; asked on that shard.
  std::function<core::crypto::tls_context(std::size_t shard)> tls;
  /// That run from early data; null or empty while `early_data` is not set.
  frame_lanes::operation_names early_operations{};
  secrets_ptr keys;
  connection_budget_ptr budget;
  std::shared_ptr<socket_metrics> sockets;
  std::shared_ptr<quic_metrics> metrics;
  const core::clock* clock = nullptr;
};

/// The QUIC connections of one shard: owns its UDP socket and its endpoint, turns readiness into
/// datagrams and datagrams into what links tell their owners, and sends at the end of each turn.
/// Lives as long as its socket, and that until the last connection has ended after
/// `stop_accepting`. All calls on its shard, except `forward`.
class hub final : public endpoint_host, public std::enable_shared_from_this<hub> {
public:
  /// Datagrams that may wait for their shard; what comes beyond is dropped, as a network would.
  static constexpr std::uint32_t forwards_max = 1'024;
  /// What one turn reads before others have theirs.
  static constexpr int receives_per_turn = 16;

  /// Datagrams of one read from which on somebody sends in bulk.
  static constexpr std::size_t bulk_datagrams = 8;

  /// All hubs of a listener, by shard.
  using family = std::vector<std::weak_ptr<hub>>;

  /// Any thread; nothing happens before `start`.
  hub(core::shard& home, std::shared_ptr<const hub_parts> parts, unique_fd fd);
  ~hub();

  /// On the shard. From now on it keeps itself alive.
  void start(std::shared_ptr<const family> siblings);
  void stop_accepting();
  /// A datagram that the kernel gave to another shard. Any thread.
  void forward(const path& from, core::byte_view datagram);

  // -- for links -------------------------------------------------------------------------
  /// Sends what the connection has to send, now.
  void flush(connection& c);
  core::shard& home() noexcept { return home_; }

  // -- endpoint_host -----------------------------------------------------------------------
  void send(const path& to, core::byte_view datagram) override;
  bool may_accept(const address& peer) override;
  void accepted(connection& c) override;
  void touched(connection& c) override;

private:
  struct entry {
    quic_link_ptr link;
    core::live<connection_offer>::ptr offer;
    connection_slot slot;
    core::instant began{};
    core::instant due{};  ///< its place in `due_`, never later than it wants; zero: none
    bool opened = false;  ///< has its actor
    bool touched = false; ///< is in `touched_`
    bool shaking = true;  ///< counts in the metrics as unfinished
    bool settled = false; ///< has said HELLO; counts once the handshake is complete, too
  };
  /// Datagrams that the kernel did not take.
  struct stuck {
    path to{};
    std::vector<std::uint8_t> bytes{};
    std::size_t segment = 0;
  };

  void await_datagrams();
  void await_room();
  void read_some();
  void on_datagram(const path& from, core::byte_view datagram, core::instant now);
  void settle();
  void look_at(connection& c, entry& e);
  void finish_handshake(connection& c, entry& e);
  void produce(connection& c);
  void bury(connection& c);
  void place(connection& c, entry& e);
  void arm();
  void on_time();
  void await_age();
  void on_age();
  void count();
  void close_if_done();
  core::instant now() const noexcept { return parts_->clock->now(); }

  core::shard& home_;
  const std::shared_ptr<const hub_parts> parts_;
  udp_socket socket_;
  std::optional<boost::asio::posix::stream_descriptor> ready_; ///< does not own the socket
  std::optional<boost::asio::steady_timer> timer_;
  endpoint endpoint_;
  std::shared_ptr<const family> siblings_;
  std::unordered_map<connection*, entry> entries_; ///< <= transport.connections-max
  std::set<std::pair<core::instant, connection*>> due_;
  std::set<connection*> partial_; ///< with unfinished frames, or lately so
  std::optional<boost::asio::steady_timer> age_timer_;
  bool aging_ = false; ///< it is set
  std::vector<connection*> touched_;
  std::optional<stuck> stuck_;
  connection_slot admitted_; ///< of the connection that is being accepted
  core::live<connection_offer>::ptr offered_; ///< likewise
  std::vector<std::uint8_t> buffer_;
  endpoint_counters counted_;
  std::optional<core::instant> armed_;
  std::atomic<std::uint32_t> forwards_{0};
  bool bulk_ = false; ///< the last read brought many datagrams
  bool settling_ = false;
  bool stopping_ = false;
  bool closed_ = false;
};

} // namespace ron::transport::quic
