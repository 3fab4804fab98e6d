#pragma once

#include "core/clock.hpp"
#include "core/crypto/tls_context.hpp"
#include "core/error.hpp"
#include "transport/quic/connection.hpp"
#include "transport/quic/frame_lanes.hpp"
#include "transport/quic/udp_socket.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ron::transport::quic {

/// The dialing side on a UDP socket of its own, for programs without shards (ronctl, load
/// generators, tests). Blocking; one thread. The owner moves frames between a session and `lanes`.
class client final : public id_source {
public:
  /// Shakes hands with the first of the addresses of `host` that answers. Errors: degraded (nobody
  /// there, or it does not speak OAP/1 over QUIC), unauth (the certificate), bad_request.
  /// `from`: what an earlier connection to the same server left (`connection::take_resumption`).
  /// Where `settings.early_data` and `from` allow early data, nobody was asked yet when this
  /// returns: what is written on `lanes` for operations that may be repeated goes with the first
  /// datagrams, to the first address, and errors of the handshake come from `why_over`.
  static core::result<std::unique_ptr<client>> dial(const connection_settings& settings,
                                                    const core::crypto::tls_context& tls,
                                                    const std::string& host, std::uint16_t port,
                                                    std::uint32_t frame_max, core::instant deadline,
                                                    const resumption& from = {});
  /// Says CONNECTION_CLOSE once; nobody waits for it.
  ~client();
  client(const client&) = delete;
  client& operator=(const client&) = delete;

  frame_lanes& lanes() noexcept { return *lanes_; }
  connection& link() noexcept { return *connection_; }
  /// It carries bytes; early ones, perhaps.
  bool is_open() const noexcept {
    return connection_->state() == connection::phase::open || connection_->early();
  }
  /// Why it is not open any more.
  core::error why_over() const;

  /// Sends what is due.
  void flush();
  /// Sends what is due, waits for datagrams or for QUIC's own time, at most until `until`, and
  /// deals with them. False if `until` has passed.
  bool turn(core::instant until);
  /// Deals with the datagrams that one read brings, without waiting; false if there were none. To
  /// be followed by `flush`, before the next read.
  bool poll();
  int fd() const noexcept { return socket_.fd(); }

  // -- id_source -----------------------------------------------------------------------
  connection_id make_id(connection& owner, reset_token& token) override;
  void retire_id(const connection_id& id) override;

private:
  client(unique_fd socket, const address& remote);
  core::result<void> shake_hands(const connection_settings& settings,
                                 const core::crypto::tls_context& tls, const std::string& host,
                                 std::uint32_t frame_max, core::instant deadline,
                                 const resumption& from);

  udp_socket socket_;
  path path_;
  std::unique_ptr<connection> connection_;
  std::optional<frame_lanes> lanes_;
  std::vector<std::uint8_t> buffer_;
};

} // namespace ron::transport::quic
