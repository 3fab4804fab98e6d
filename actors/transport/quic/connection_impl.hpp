#pragma once

#include "core/crypto/openssl.hpp"
#include "transport/quic/connection.hpp"
#include "transport/quic/ngtcp2_types.hpp"
#include "transport/quic/receive_window.hpp"
#include "transport/quic/send_queue.hpp"

#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_ossl.h>

#include <array>
#include <deque>
#include <unordered_map>
#include <vector>

/// The inside of a connection, shared by its source files and nobody else: connection.cpp has life
/// cycle and public face, connection_streams.cpp what streams send, connection_callbacks.cpp what
/// ngtcp2 calls, connection_tls.cpp OpenSSL.
namespace ron::transport::quic {

struct ngtcp2_free {
  void operator()(ngtcp2_conn* c) const noexcept { ngtcp2_conn_del(c); }
  void operator()(ngtcp2_crypto_ossl_ctx* c) const noexcept { ngtcp2_crypto_ossl_ctx_del(c); }
};

struct connection::impl {
  /// Our direction of a stream.
  struct outgoing {
    stream_id id = 0;
    send_queue queue{};
    std::size_t turn = 0; ///< bytes sent since it came to the front
    bool fin = false;     ///< nothing will be queued any more
    bool fin_sent = false;
    bool dead = false; ///< reset, by us or the peer
    app_code why = 0;  ///< ... by us with this code
    bool in_line = false;
    bool blocked = false; ///< by the peer's window of this stream
  };

  impl(connection& owner, id_source& ids, const path& where, core::instant now);
  ~impl();

  // -- connection_tls.cpp --------------------------------------------------------------
  core::result<void> start_tls(const core::crypto::tls_context& settings,
                               const std::string& server_name, const resumption& from);
  bool speaks_oap() const;
  bool start_early(const resumption& from);
  early_fate early_verdict() const;
  std::string tls_failure() const;
  void take_leave_of_tls() noexcept;
  void let_go_of_tls();

  // -- connection_callbacks.cpp ----------------------------------------------------------
  static ngtcp2_callbacks callbacks(side s);

  // -- connection_streams.cpp ------------------------------------------------------------
  outgoing* find(stream_id id);
  void stand_in_line(outgoing& s);
  void leave_line(outgoing& s);
  void kill(outgoing& s);
  void allow_streams();
  ngtcp2_ssize write_packet(ngtcp2_path* to, ngtcp2_pkt_info* info, std::uint8_t* buffer,
                            std::size_t size, ngtcp2_tstamp t);
  void note_sent(outgoing& s, std::size_t n, bool fin);
  bool repeat_early();
  bool may_talk() const noexcept {
    return !close_due && (state == phase::open || (state == phase::handshake && early));
  }
  void take_turns();

  // -- connection.cpp ----------------------------------------------------------------------
  ngtcp2_settings settings_of(const connection_settings& s, core::instant now);
  static ngtcp2_transport_params params_of(const connection_settings& s, side who);
  ngtcp2_tstamp at(core::instant now);
  void fail(int code);
  void end_silently(std::string text);
  void begin_draining(core::instant now);
  void write_close(core::instant now);
  ngtcp2_ssize write_burst(std::span<std::uint8_t> buffer, ngtcp2_path* to, ngtcp2_pkt_info* info,
                           std::size_t& segment, core::instant now);
  ngtcp2_tstamp within_burst(core::instant now);
  bool may_wait() const noexcept;
  void end_burst(ngtcp2_tstamp t);
  void renew_keys(core::instant now);

  connection& owner;
  id_source& ids;
  side who = side::server;
  phase state = phase::handshake;
  path where;
  stream_events* events = nullptr;
  secrets_ptr tokens;
  std::string server_name;                    ///< dialer: as it was dialed
  std::vector<std::uint8_t> given_token;      ///< the newest, <= token_max
  core::crypto::ssl_session_ptr given_ticket; ///< likewise; filled by OpenSSL's callback
  connection_ending ending;
  ngtcp2_ccerr error{};
  /// What path MTU discovery tries, in this order: Ethernet, tunnels over it, `payload_max`.
  std::array<std::uint16_t, 4> probes{1'452, 1'404, 1'344, 0};
  bool early_allowed = false;         ///< `connection_settings::early_data`
  bool early = false;                 ///< streams work before the handshake is complete
  early_fate fate = early_fate::none; ///< once it is
  bool close_due = false;             ///< CONNECTION_CLOSE is to be written
  bool farewell_due = false;          ///< ... or repeated
  std::vector<std::uint8_t> farewell; ///< the packet that says it
  std::uint64_t late = 0;             ///< datagrams that came after it
  core::instant over_at{};
  std::uint64_t last_time = 0; ///< ngtcp2's time never goes back
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t keys_made = 0;  ///< sets of packet keys after the first; one more than are used
  std::uint64_t key_bytes = 0;  ///< `connection_settings::key_bytes`
  std::uint64_t keys_since = 0; ///< `bytes_out` when we wanted new ones last
  std::size_t unsent = 0;
  std::uint64_t streams_allowed = 0; ///< server: that the peer may ever open, as it knows
  std::uint64_t streams_opened = 0;  ///< server: that it has ever opened
  std::size_t streams_owed = 0;      ///< closed, and the peer may not open another one instead yet
  std::size_t burst = 0;             ///< bytes sent since pacing was told; <= the send quantum
  std::uint64_t paused_until = 0;    ///< by pacing, if nothing else was due sooner
  bool held = false;                 ///< ... and something may wait for that
  bool said_all = false; ///< open, and nothing but acknowledgements to send since it was written
  receive_window window{0, 0};      ///< of the connection
  std::size_t credit_owed = 0;      ///< bytes given back to the peer that it may not know of
  std::uint32_t unanswered = 0;     ///< datagrams that came since we had nothing left to send
  std::size_t unanswered_bytes = 0; ///< in them
  std::uint64_t unanswered_since = 0;
  std::uint32_t ack_every = 0;                     ///< `connection_settings::ack_every`
  std::unordered_map<stream_id, outgoing> streams; ///< <= streams the two sides allow
  std::deque<outgoing*> line;                      ///< those with something to send, in turn
  std::vector<connection_id> own_ids; ///< given to the peer; retired with the connection
  std::optional<core::crypto::tls_context> context; ///< OpenSSL's callbacks look into it
  ngtcp2_crypto_conn_ref ref{};
  std::optional<core::crypto::tls_info> agreed; ///< what `ssl` said, once it is gone
  core::crypto::ssl_ptr ssl;                    ///< a server's: until the handshake is complete
  std::unique_ptr<ngtcp2_crypto_ossl_ctx, ngtcp2_free> tls;
  std::unique_ptr<ngtcp2_conn, ngtcp2_free> conn; ///< first to go: it uses the others
};

} // namespace ron::transport::quic
