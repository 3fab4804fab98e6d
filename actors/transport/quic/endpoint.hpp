#pragma once

#include "core/bytes.hpp"
#include "core/clock.hpp"
#include "core/crypto/tls_context.hpp"
#include "transport/quic/connection.hpp"
#include "transport/quic/secrets.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <unordered_map>

namespace ron::transport::quic {

/// Bounds on what strangers can cost one shard.
struct endpoint_limits {
  std::size_t unfinished_max = 1'024; ///< handshakes under way; first packets beyond are dropped
  std::size_t retry_from = 64;        ///< with so many under way a new peer must prove its address
  std::uint32_t answers_per_second = 1'000; ///< stateless ones: resets, versions, refusals, Retry
  std::chrono::seconds retry_life{10};      ///< of a Retry token
  std::chrono::hours token_life{24};        ///< of a NEW_TOKEN token
};

/// What an endpoint did with datagrams that were no connection's; for metrics.
struct endpoint_counters {
  std::uint64_t accepted = 0;
  std::uint64_t retries = 0;      ///< Retry sent
  std::uint64_t versions = 0;     ///< Version Negotiation sent
  std::uint64_t resets = 0;       ///< Stateless Reset sent
  std::uint64_t refused = 0;      ///< CONNECTION_REFUSED sent
  std::uint64_t dropped_full = 0; ///< first packets beyond `unfinished_max`
  std::uint64_t dropped_rate = 0; ///< answers beyond `answers_per_second`
  std::uint64_t dropped_junk = 0; ///< datagrams that are no QUIC we could answer
};

/// Who runs an endpoint: sends its datagrams and gives its connections a purpose.
class endpoint_host {
public:
  /// One datagram that belongs to no connection.
  virtual void send(const path& to, core::byte_view datagram) = 0;
  /// True if a peer at this address may have one more connection.
  virtual bool may_accept(const address& peer) = 0;
  /// A connection was made; the host sets its events.
  virtual void accepted(connection& c) = 0;
  /// Something happened to the connection: it may have to `produce`, and its timer changed.
  virtual void touched(connection& c) = 0;

protected:
  ~endpoint_host() = default;
};

/// The TLS context for the next connection: a reload changes it.
using next_tls = std::function<core::crypto::tls_context()>;

/// The settings of the next connection; likewise.
using next_settings = std::function<connection_settings()>;

/// The accepting side of QUIC on one shard as a state machine: knows whose datagram it is, and what
/// to say to strangers (RFC 9000, 5.2, 6, 8.1, 10.3). No socket, no clock of its own.
class endpoint final : public id_source {
public:
  /// Of the ids that we choose; the first byte is the number of the shard (decision "QUIC
  /// connection ids").
  static constexpr std::size_t id_bytes = 12;

  endpoint(std::uint8_t shard, next_settings settings, endpoint_limits limits, next_tls tls,
           secrets_ptr keys, endpoint_host& host);
  ~endpoint();
  endpoint(const endpoint&) = delete;
  endpoint& operator=(const endpoint&) = delete;

  /// The shard whose datagram this is by its connection id, 0..255; what a client chose is
  /// anybody's.
  static std::uint8_t shard_of(core::byte_view datagram) noexcept;

  void on_datagram(const path& from, core::byte_view datagram, core::instant now);
  /// No new connections; those that are there go on.
  void stop_accepting() noexcept { accepting_ = false; }
  /// A connection's time has come (`wake_at`).
  void on_timer(connection& c, core::instant now);
  /// Forgets a connection that is over; never inside a call of the endpoint.
  void forget(connection& c);

  std::size_t connections() const noexcept { return connections_.size(); }
  std::size_t unfinished() const noexcept { return unfinished_; }
  const endpoint_counters& counters() const noexcept { return counters_; }

  // -- id_source -----------------------------------------------------------------------
  connection_id make_id(connection& owner, reset_token& token) override;
  void retire_id(const connection_id& id) override;

private:
  void on_stranger(const path& from, core::byte_view datagram, core::instant now);
  bool validate(const path& from, core::byte_view token, first_packet& first, core::instant now,
                bool& bad);
  void open(const path& from, core::byte_view datagram, const first_packet& first,
            core::instant now);
  void say_versions(const path& from, core::byte_view dcid, core::byte_view scid);
  void say_retry(const path& from, const first_packet& first, core::instant now);
  void say_refused(const path& from, const first_packet& first, std::uint64_t code);
  void say_reset(const path& from, core::byte_view datagram);
  bool may_answer(core::instant now);
  connection_id random_id() const;

  const std::uint8_t shard_;
  const next_settings settings_;
  const endpoint_limits limits_;
  const next_tls tls_;
  const secrets_ptr keys_;
  endpoint_host& host_;
  struct entry {
    std::unique_ptr<connection> owned;
    connection_id first{}; ///< as the client chose it; empty if another one had it already
    bool shaking = true;   ///< counts as unfinished
  };

  void look(connection& c);

  std::unordered_map<connection_id, connection*> by_id_; ///< <= 10 per connection
  std::unordered_map<connection*, entry> connections_;
  std::size_t unfinished_ = 0;
  core::instant answers_since_{};
  std::uint32_t answers_ = 0;
  endpoint_counters counters_;
  bool accepting_ = true;
};

} // namespace ron::transport::quic
