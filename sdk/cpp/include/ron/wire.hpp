#pragma once

#include "core/bytes.hpp"
#include "core/clock.hpp"
#include "core/crypto/tls_context.hpp"
#include "core/error.hpp"

#include <functional>
#include <memory>
#include <string>
#include <vector>

/// What carries the frames of a client to its node and back. TLS over TCP is built in; a program
/// may bring another one, such as QUIC.
namespace ron::sdk {

struct client_options;

/// What one wait brought.
struct arrival {
  std::vector<core::bytes> slices; ///< bytes of frames, in order
  bool ended = false;              ///< the node will send no more
  bool clean = false;              ///< and said so
};

/// An open connection, secured and with the node's identity checked. Blocking; one thread.
class wire {
public:
  virtual ~wire() = default;
  /// Sends `slices` (whole frames) and leaves them empty. Blocks while the peer is behind. Errors:
  /// downstream_timeout, degraded.
  virtual core::result<void> send(std::vector<core::bytes>& slices, core::instant deadline) = 0;
  /// Waits for bytes or the end. Errors: downstream_timeout, degraded, unauth.
  virtual core::result<arrival> receive(core::instant deadline) = 0;
  /// True if frames are in order within a stream only (`oap::session_settings`).
  virtual bool independent_streams() const noexcept = 0;
  /// True if `oap/1` was agreed on below the frames (OAP1.md, HELLO).
  virtual bool has_alpn() const noexcept = 0;
  /// True while requests go although the node has not answered yet (0-RTT): nobody is to wait for
  /// its HELLO. Requests that must not be repeated by strangers are held back by the wire.
  virtual bool is_early() const noexcept { return false; }
  /// What was negotiated, for people: "TLSv1.3 TLS_AES_128_GCM_SHA256 X25519".
  virtual std::string description() const = 0;
};

/// The TLS settings of a client: pin or CA, key exchange, its own certificate, ALPN `oap/1`. For
/// any wire that TLS secures. Errors: those of the files that `options` names.
core::result<core::crypto::tls_context> client_context(const client_options& options);

/// Connects. Errors: degraded (nobody there, or it does not speak OAP/1), unauth.
using dialer = std::function<core::result<std::unique_ptr<wire>>(const client_options& options,
                                                                 core::instant deadline)>;

} // namespace ron::sdk
