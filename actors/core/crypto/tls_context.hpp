#pragma once

#include "core/config_types.hpp"
#include "core/crypto/identity.hpp"
#include "core/crypto/ocsp.hpp"
#include "core/crypto/tickets.hpp"
#include "core/error.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ron::core::crypto {

/// What a listening end needs.
struct tls_server_options {
  identity_ptr certificate{};
  ticket_keys_ptr tickets{};       ///< shared by all shards
  std::vector<std::string> alpn{}; ///< by preference; a client that offers only others is refused,
                                 ///< one that offers none is accepted
  config::pq_mode pq = config::pq_mode::off;
  std::string client_ca{};         ///< PEM file; if set, clients must show a certificate under it
  ocsp_staple_ptr staple{};        ///< sent to a client that asks, until it is stale; may be null
};

/// What a dialing end needs. Exactly one of `pin` and `ca_file` is set: there is no way to trust
/// nobody in particular.
struct tls_client_options {
  std::string pin{};               ///< 64 hex digits: SHA-256 of the server's leaf, in DER
  std::string ca_file{};           ///< PEM roots; the host name is verified too
  std::vector<std::string> alpn{}; ///< offered, by preference; may be empty
  config::pq_mode pq = config::pq_mode::off;
  identity_ptr certificate{};      ///< shown when the server asks; may be null
};

/// TLS 1.3 settings of one side: AES-GCM first, X25519 (X25519MLKEM768 first or alone by `pq`),
/// session tickets, no early data, no renegotiation, no compression. Copies share one context.
/// Make one per shard: OpenSSL's contexts are safe but contended between threads.
class tls_context {
public:
  struct impl;

  /// Errors: bad_request naming the option and OpenSSL's reason.
  static result<tls_context> make_server(const tls_server_options& options);
  static result<tls_context> make_client(const tls_client_options& options);

  bool is_server() const noexcept;
  /// For tls_session and transport/quic.
  ssl_ctx_st* native() const noexcept;
  /// A pin decides alone; otherwise sessions verify the host name.
  bool pinned() const noexcept;
  config::pq_mode pq() const noexcept;

private:
  explicit tls_context(std::shared_ptr<impl> p) noexcept : impl_(std::move(p)) {}

  std::shared_ptr<impl> impl_;
};

/// Where an SSL object keeps the slot (`ssl_session_ptr*`) for the newest ticket of a client; null
/// keeps none. Not its app data: QUIC needs that.
int ticket_slot_index() noexcept;

} // namespace ron::core::crypto
