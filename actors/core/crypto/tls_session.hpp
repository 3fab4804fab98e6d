#pragma once

#include "core/bytes.hpp"
#include "core/crypto/tls_context.hpp"
#include "core/error.hpp"

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct ssl_st;

namespace ron::core::crypto {

/// What was agreed on; valid once the handshake is complete.
struct tls_info {
  std::string version; ///< "TLSv1.3"
  std::string cipher;  ///< "TLS_AES_128_GCM_SHA256"
  std::string group;   ///< "X25519", "X25519MLKEM768"
  std::string alpn;    ///< empty: none was negotiated
  bool resumed = false;
  bool hybrid = false;          ///< the keys hold against a quantum computer (X25519MLKEM768)
  bool downgraded = false;      ///< hybrid was preferred here and the other side could not
  std::string peer_cert_sha256; ///< hex; empty when the peer showed none
};

/// The same of any session of OpenSSL that was made with `context`, whatever carries it.
tls_info info_of(ssl_st* ssl, const tls_context& context);

/// What a client keeps to resume later. It works only with the context (or a copy) and the server
/// name that it came from, so a ticket never widens whom a client trusts.
class tls_ticket {
public:
  struct impl;
  explicit tls_ticket(std::shared_ptr<impl> p) noexcept : impl_(std::move(p)) {}
  const impl& get() const noexcept { return *impl_; }

private:
  std::shared_ptr<impl> impl_;
};

/// One TLS 1.3 connection without any I/O: ciphertext in, plaintext out, and the other way round.
/// OpenSSL reads straight from the caller's receive buffer and writes records into slabs that are
/// handed to the socket as they are. One thread at a time.
class tls_session {
public:
  /// Result of `feed`: all ciphertext was taken unless the plaintext filled `room`.
  struct progress {
    std::size_t consumed = 0; ///< bytes of ciphertext taken
    std::size_t produced = 0; ///< bytes of plaintext written to `room`
  };

  /// Room that always suffices to take `n` bytes of ciphertext in one `feed`.
  static constexpr std::size_t room_for(std::size_t n) noexcept { return n + record_bytes_max; }
  /// Largest TLS record with its header; what a session may hold back between two calls.
  static constexpr std::size_t record_bytes_max = 16'384 + 256 + 5;

  /// The accepting side.
  static result<tls_session> accept(const tls_context& context);
  /// The dialing side. `server_name` (host name or address literal) is sent as SNI when it is a
  /// name, and verified unless the context is pinned. The ClientHello is output at once.
  static result<tls_session> connect(const tls_context& context, const std::string& server_name,
                                     const std::optional<tls_ticket>& resume = std::nullopt);

  tls_session(tls_session&&) noexcept;
  tls_session& operator=(tls_session&&) noexcept;
  ~tls_session();

  /// Takes ciphertext, goes on with the handshake and decrypts into `room`. Call again with the
  /// rest (or with nothing) while `room` comes back full. Errors are final, and an alert for the
  /// peer may be in the output: unauth (the peer's certificate), bad_request (anything else).
  result<progress> feed(byte_view ciphertext, std::span<std::uint8_t> room);

  /// Encrypts all of `plaintext`, in order. Small slices share a record. The caller bounds what it
  /// writes by looking at `output_bytes`. Error: internal before `is_open` or after `shutdown`.
  result<void> write(std::span<const bytes> plaintext);

  /// Queues close_notify: nothing more will be written. Reading goes on.
  void shutdown();

  /// Ciphertext waiting to be sent, in bytes.
  std::size_t output_bytes() const noexcept;
  /// Appends that ciphertext to `out` and forgets it.
  void take_output(std::vector<bytes>& out);

  /// The next records are short again, so that a peer behind a slow path can decrypt the first
  /// bytes early; to be called when the connection was idle.
  void restart_small_records() noexcept;

  /// Part of a record waits for its rest: the next `feed` may give more plaintext than it is given
  /// ciphertext, by less than `record_bytes_max`.
  bool holds_partial() const noexcept;
  bool is_open() const noexcept;     ///< the handshake is complete
  bool peer_closed() const noexcept; ///< close_notify was received: the end was no truncation
  tls_info info() const;
  std::string_view alpn() const noexcept; ///< empty: none
  /// The newest ticket that the server gave, once.
  std::optional<tls_ticket> take_ticket();

private:
  struct impl;
  explicit tls_session(std::unique_ptr<impl> p) noexcept;
  std::unique_ptr<impl> impl_;
};

} // namespace ron::core::crypto
