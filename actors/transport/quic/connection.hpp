#pragma once

#include "core/clock.hpp"
#include "core/crypto/tls_context.hpp"
#include "core/crypto/tls_session.hpp"
#include "core/error.hpp"
#include "transport/quic/address.hpp"
#include "transport/quic/frame_lanes.hpp"
#include "transport/quic/secrets.hpp"
#include "transport/quic/stream_carrier.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ron::transport::quic {

/// What an operator may change about QUIC connections.
struct connection_settings {
  std::uint32_t streams_max = 512;   ///< that the peer may have open, beside stream 0
  std::size_t window = 1u << 20;     ///< bytes of the connection at first
  std::size_t window_max = 8u << 20; ///< to which it grows by itself
  std::size_t stream_window = 256u << 10;
  std::size_t stream_window_max = 4u << 20;
  std::chrono::milliseconds idle_timeout{60'000};
  std::chrono::milliseconds handshake_timeout{5'000};
  /// Bytes of the longest datagram that path MTU discovery tries, 1,200 .. 65,527. The default is
  /// what fits into a jumbo frame of 9,000 bytes with IPv6.
  std::size_t payload_max = 8'952;
  std::uint32_t ack_every = 10; ///< packets that wait for one acknowledgement, at most
  /// 0-RTT (RFC 9001, 4.6). Accepting: tickets allow it. Dialing: streams open at once if the
  /// ticket does. What comes that way may be somebody's repetition, and only `frame_lanes` knows
  /// what may be done with it.
  bool early_data = false;
  bool bbr = true;              ///< false: CUBIC
  /// Bytes that we send with one set of packet keys (RFC 9001, 6); 0: as many as the cipher allows,
  /// which ngtcp2 sees to.
  std::uint64_t key_bytes = 0;
};

/// Where connection ids come from and whom they lead to.
class id_source {
public:
  /// A fresh id for `owner`, with the token that resets it.
  virtual connection_id make_id(class connection& owner, reset_token& token) = 0;
  virtual void retire_id(const connection_id& id) = 0;

protected:
  ~id_source() = default;
};

/// What the first packet of a client says.
struct first_packet {
  std::uint32_t version = 0;
  connection_id dcid{}; ///< as the client sent it
  connection_id scid{};
  std::optional<connection_id> retried{}; ///< the id of its first attempt, if it comes from Retry
  core::byte_view token{};                ///< validated; empty if there was none
};

/// What a client keeps of a connection for the next one to the same server.
struct resumption {
  std::optional<core::crypto::tls_ticket> ticket{}; ///< spares certificates and signatures
  /// Of NEW_TOKEN (RFC 9000, 8.1.3), <= `connection::token_max` bytes: spares a round trip when the
  /// server asks for proof of our address.
  std::vector<std::uint8_t> token{};
  /// The server's transport parameters that hold until its new ones come; beside a ticket that
  /// allows early data.
  std::vector<std::uint8_t> params{};
};

/// What became of early data.
enum class early_fate : std::uint8_t { none, accepted, rejected };

/// Why a connection ended.
struct connection_ending {
  bool by_peer = false;
  bool application = false; ///< `code` is an `app_code`, else a transport error (RFC 9000, 20.1)
  bool silent = false;      ///< nobody said anything: idle for too long, or a stateless reset
  std::uint64_t code = 0;
  std::string text{}; ///< for logs and people; nothing the peer wrote
};

/// One QUIC v1 connection as a state machine around ngtcp2 (RFC 9000, 9001, 9002): datagrams and
/// time in, datagrams and stream events out; no socket, no clock, no thread. TLS 1.3 by OpenSSL, no
/// unidirectional and no server-opened streams. Early data only where `early_data` says so; what a
/// server refused goes again by itself when the handshake is complete.
///
///     c->on_datagram(path, bytes, now);  or  c->on_timer(now);  or stream calls
///     while ((n = c->produce(buffer, now, to, segment)) > 0) send(...);
///     arm(c->wake_at());
///     if (c->state() == phase::over) forget it
///
/// Streams take turns of `turn_bytes` each. Memory: ngtcp2's own (bounded by windows and streams)
/// and what streams send until it is acknowledged.
class connection final : public stream_carrier {
public:
  enum class phase : std::uint8_t {
    handshake,
    open,
    closing,  ///< we said CONNECTION_CLOSE and repeat it for those who missed it
    draining, ///< the peer said it
    over,
  };
  /// What a stream sends before the next one has its turn.
  static constexpr std::size_t turn_bytes = 12'288;
  /// Largest buffer that `produce` can use: what one system call can send in segments.
  static constexpr std::size_t burst_max = 65'000;
  /// Least buffer that it needs.
  static constexpr std::size_t datagram_max = 1'500;

  /// Longer tokens of a server are not kept.
  static constexpr std::size_t token_max = 512;

  /// The dialing side. `server_name` is verified unless the context is pinned. `from`: what an
  /// earlier connection to the same server gave (`take_resumption`). Errors: those of OpenSSL,
  /// internal.
  static core::result<std::unique_ptr<connection>>
  connect(const connection_settings& settings, const core::crypto::tls_context& tls,
          const std::string& server_name, const path& where, id_source& ids, core::instant now,
          const resumption& from = {});

  /// The accepting side; the datagram with the first packet is then given to `on_datagram`.
  /// `keys` make the token that spares the client Retry next time.
  static core::result<std::unique_ptr<connection>> accept(const connection_settings& settings,
                                                          const core::crypto::tls_context& tls,
                                                          const first_packet& first,
                                                          const path& where, id_source& ids,
                                                          secrets_ptr keys, core::instant now);

  ~connection();
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  /// Who hears of streams; before the first datagram, and as long as the connection.
  void set_events(stream_events& to) noexcept;

  // -- in ------------------------------------------------------------------------------
  void on_datagram(const path& from, core::byte_view datagram, core::instant now);
  void on_timer(core::instant now);
  /// When to call `on_timer`; nothing once it is over.
  std::optional<core::instant> wake_at() const;

  // -- out -----------------------------------------------------------------------------
  /// Writes datagrams of `segment` bytes each (the last may be shorter) into `buffer` and says
  /// where they go. The bytes written; 0: nothing to send now.
  std::size_t produce(std::span<std::uint8_t> buffer, core::instant now, path& to,
                      std::size_t& segment);

  // -- streams (stream_carrier) ----------------------------------------------------------
  std::optional<stream_id> open_stream() override;
  void send(stream_id id, core::bytes slice) override;
  void finish(stream_id id) override;
  void reset(stream_id id, app_code code) override;
  void stop(stream_id id, app_code code) override;
  void credit(std::size_t n) override;

  /// Ends the connection: CONNECTION_CLOSE with an application code.
  void close(app_code code);
  /// Dialer: goes on from another local address (RFC 9000, 9). False if the peer does not allow it.
  bool migrate(const path& to, core::instant now);
  /// New packet keys (RFC 9001, 6). False if it is too early for that.
  bool update_keys(core::instant now);

  // -- what holds --------------------------------------------------------------------------
  phase state() const noexcept;
  /// Streams work although the handshake is not complete.
  bool early() const noexcept;
  /// Once open: whether the client had early data and the server took it.
  early_fate early_data() const noexcept;
  /// Once `closing`, `draining` or `over`.
  const connection_ending& ending() const noexcept;
  /// Once open.
  core::crypto::tls_info tls() const;
  /// Dialer: the newest ticket and token that the server gave, once. They come behind the
  /// handshake.
  resumption take_resumption();
  const path& where() const noexcept;
  /// Bytes of streams that were not sent for the first time yet.
  std::size_t unsent_bytes() const noexcept;
  /// Bytes of streams that are not acknowledged, sent or not.
  std::size_t held_bytes() const noexcept;
  std::uint64_t bytes_in() const noexcept;
  std::uint64_t bytes_out() const noexcept;

  /// The measurements of RFC 9002 as they are now.
  struct figures {
    std::chrono::nanoseconds smoothed_rtt{};
    std::uint64_t window = 0; ///< bytes that congestion control lets be in flight
    std::uint64_t packets_sent = 0;
    std::uint64_t packets_lost = 0;
    std::uint64_t packets_received = 0;
    std::uint64_t key_updates = 0; ///< by either side, that both have finished
  };
  figures measure() const;

  struct impl; ///< for the sources of this folder

private:
  connection();
  static core::result<std::unique_ptr<connection>> start(std::unique_ptr<connection> c,
                                                         const core::crypto::tls_context& tls,
                                                         const std::string& server_name,
                                                         const resumption& from, int made);
  std::unique_ptr<impl> impl_;
};

} // namespace ron::transport::quic
