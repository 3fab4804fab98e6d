#pragma once

#include "core/bytes.hpp"
#include "core/config_types.hpp"
#include "core/error.hpp"
#include "core/ids.hpp"
#include "core/json_fwd.hpp"
#include "ron/wire.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

/// The C++ client of a RON node: OAP/1 over TLS 1.3 or another wire, blocking, one request at a
/// time.
namespace ron::sdk {

using std::chrono::milliseconds;

/// Whom to call and how to know it is the right one. Exactly one of `pin` and `ca_file` is set; for
/// a host that ends in ".onion" neither: its address is its key, and Tor checks it.
struct client_options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 9443;
  std::string pin;       ///< hex SHA-256 of the node's certificate (DER)
  std::string ca_file;   ///< PEM roots; the host name is verified too
  std::string cert_file; ///< PEM chain shown to a node that asks for one; empty: none
  std::string key_file;  ///< PEM key of it
  /// Post-quantum key exchange X25519MLKEM768: off, preferred, or no connection without it.
  core::config::pq_mode pq = core::config::pq_mode::off;
  std::string token; ///< binary capability; empty = anonymous
  std::string socks; ///< "host:port" of a tor daemon; needed for ".onion" hosts
  /// Connections with different words share no Tor circuit; at most 255 bytes. Empty: a word of
  /// their own for every `token`.
  std::string isolation;
  milliseconds connect_timeout{2'000}; ///< with handshakes and HELLO
  milliseconds tor_timeout{60'000};    ///< in its place where `socks` is set
  milliseconds overall_timeout{5'000}; ///< of a call without object bytes
  milliseconds idle_timeout{5'000};    ///< without any progress while bytes move
  /// QUIC: with a ticket of an earlier connection, requests that only read go with the first
  /// datagram (0-RTT). Whoever records them can have the node run them again and learns nothing;
  /// a node that does not allow it answers one round trip later.
  bool early_data = false;
  dialer dial;                         ///< null: TLS 1.3 over TCP
};

/// An inclusive range of bytes: `[first, last]`, or to the end without `last`.
struct byte_range {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> last;
};

/// What the node keeps under a content id.
struct object_info {
  core::cid cid;
  std::uint64_t size = 0;
  bool existed = false; ///< of a put: it was there already
};

/// Gives the next bytes of an upload, empty at the end. An error stops the upload.
using byte_source = std::function<core::result<core::bytes>()>;
/// Takes bytes of a download in order. An error stops the download.
using byte_sink = std::function<core::result<void>(const core::bytes&)>;

/// Takes one event of a stream. False: no more of them. An error stops the stream and is returned.
using event_sink = std::function<core::result<bool>(core::json)>;

/// A connection to one node. Not thread-safe: one thread, or one client each. After an error that
/// breaks the connection every call fails with it; connect anew.
///
/// Errors are the node's (`ec` and message as sent), or: degraded (cannot connect, connection
/// lost), unauth (the certificate is not the pinned one or not under the CA), downstream_timeout
/// (no answer in time), bad_digest (the bytes received do not hash to the id), tor_unavailable (no
/// way through Tor; the message says why, and trying again at once does not help).
class client {
public:
  static core::result<client> connect(const client_options& options);

  client(client&&) noexcept;
  client& operator=(client&&) noexcept;
  ~client();

  /// One operation that answers with a map (section 7 of the HTTP surface).
  core::result<core::json> call(const std::string& operation, const core::json& args);

  /// An operation that answers with events (`mb.sub`, `mb.follow`): returns when `sink` wants no
  /// more, or with the error that ended the stream. A silent node is asked whether it is there.
  core::result<void> listen(const std::string& operation, const core::json& args,
                            const event_sink& sink);

  /// Uploads an object. With `expected` the node refuses other bytes (digest_mismatch).
  core::result<object_info> put(const byte_source& source,
                                const std::optional<core::cid>& expected = std::nullopt);

  /// Uploads a copy of an object that the node is to keep for another one, whose store has the id
  /// `store` (32 hex digits): the node copies it no further.
  core::result<object_info> put_replica(const byte_source& source, const core::cid& cid,
                                        const std::string& store);

  /// Downloads an object or a range of it. A whole object is hashed here and must be `cid`; the
  /// bytes of a range were verified by the node.
  core::result<object_info> get(const core::cid& cid, const std::optional<byte_range>& range,
                                const byte_sink& sink);

  /// Round trip of an empty request.
  core::result<std::chrono::nanoseconds> ping();

  /// What was negotiated, for people: "TLSv1.3 TLS_AES_128_GCM_SHA256 X25519".
  std::string tls_description() const;

private:
  struct impl;
  explicit client(std::unique_ptr<impl> p) noexcept;
  std::unique_ptr<impl> impl_;
};

} // namespace ron::sdk
