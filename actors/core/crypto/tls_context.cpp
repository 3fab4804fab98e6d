#include "core/crypto/tls_context.hpp"

#include "core/crypto/digest.hpp"
#include "core/ids.hpp"

#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <cstring>
#include <ctime>

namespace ron::core::crypto {

/// Everything the callbacks of OpenSSL look at; lives as long as the SSL_CTX.
struct tls_context::impl {
  bool server = false;
  std::string alpn_wire; // each name behind its length (RFC 7301, 3.1)
  ocsp_staple_ptr staple;
  config::pq_mode pq = config::pq_mode::off;
  sha256_digest pin{};
  bool pinned = false;
  ticket_keys_ptr tickets;
  identity_ptr certificate;
  ssl_ctx_ptr ctx; // last: freed before what it refers to
};

namespace {

constexpr const char* cipher_suites =
  "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

// A slash makes the server ask for the better group even when the client guessed another one; a
// star makes the client send a key share for it at once.
const char* groups(config::pq_mode pq, bool server) {
  switch (pq) {
    case config::pq_mode::off: return "X25519:P-256";
    case config::pq_mode::prefer:
      return server ? "X25519MLKEM768/X25519:P-256" : "*X25519MLKEM768:*X25519:P-256";
    case config::pq_mode::require: return "X25519MLKEM768";
  }
  return "X25519";
}

result<std::string> alpn_wire(const std::vector<std::string>& names) {
  std::string out;
  for (auto& name : names) {
    if (name.empty() || name.size() > 255)
      return fail(ec::bad_request, "alpn: a protocol name has 1 to 255 bytes");
    out += static_cast<char>(name.size());
    out += name;
  }
  return out;
}

const unsigned char* wire(const std::string& s) {
  return reinterpret_cast<const unsigned char*>(s.data());
}

int select_alpn(SSL*, const unsigned char** out, unsigned char* out_len, const unsigned char* in,
                unsigned int in_len, void* arg) {
  auto& ours = static_cast<tls_context::impl*>(arg)->alpn_wire;
  unsigned char* chosen = nullptr;
  int rc = SSL_select_next_proto(&chosen, out_len, wire(ours),
                                 static_cast<unsigned int>(ours.size()), in, in_len);
  *out = chosen;
  return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int staple(SSL* ssl, void* arg) {
  auto& response = *static_cast<tls_context::impl*>(arg)->staple;
  if (response.stale_at(std::time(nullptr)))
    return SSL_TLSEXT_ERR_NOACK; // worse than none: clients take it for a failure
  auto& der = response.der;
  auto* copy = static_cast<unsigned char*>(OPENSSL_memdup(der.data(), der.size()));
  if (!copy)
    return SSL_TLSEXT_ERR_NOACK;
  SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(der.size()));
  return SSL_TLSEXT_ERR_OK;
}

// The pin is the whole decision: the key was proven by CertificateVerify, which TLS itself checks.
int verify_pin(X509_STORE_CTX* store, void* arg) {
  auto& pin = static_cast<tls_context::impl*>(arg)->pin;
  unsigned char* der = nullptr;
  int n = i2d_X509(X509_STORE_CTX_get0_cert(store), &der);
  if (n <= 0)
    return 0;
  bool same = equal_secret(sha256({der, static_cast<std::size_t>(n)}), pin);
  OPENSSL_free(der);
  X509_STORE_CTX_set_error(store, same ? X509_V_OK : X509_V_ERR_APPLICATION_VERIFICATION);
  return same ? 1 : 0;
}

// The newest ticket of a client lands in the slot that its session hung on the SSL object.
int keep_ticket(SSL* ssl, SSL_SESSION* ticket) {
  auto* slot = static_cast<ssl_session_ptr*>(SSL_get_ex_data(ssl, ticket_slot_index()));
  if (!slot)
    return 0;
  slot->reset(ticket);
  return 1;
}

result<void> use_identity(SSL_CTX* ctx, const identity& id) {
  if (SSL_CTX_use_certificate(ctx, id.leaf()) != 1)
    return openssl_fail(ec::bad_request, "certificate");
  for (std::size_t i = 1; i < id.chain().size(); ++i)
    if (SSL_CTX_add1_chain_cert(ctx, id.chain()[i].get()) != 1)
      return openssl_fail(ec::bad_request, "certificate chain");
  if (SSL_CTX_use_PrivateKey(ctx, id.key()) != 1)
    return openssl_fail(ec::bad_request, "private key");
  return {};
}

result<void> set_common(SSL_CTX* ctx, config::pq_mode pq, bool server) {
  SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION
                             | SSL_OP_CIPHER_SERVER_PREFERENCE
                             | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION
                             | SSL_OP_NO_RX_CERTIFICATE_COMPRESSION);
  // The chain is sent as its file has it; else OpenSSL builds one anew in each handshake.
  SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
                          | SSL_MODE_NO_AUTO_CHAIN);
  SSL_CTX_set_read_ahead(ctx, 1); // our BIO is memory: fewer, larger copies
  SSL_CTX_set_max_early_data(ctx, 0);
  SSL_CTX_set_recv_max_early_data(ctx, 0);
  if (SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION) != 1
      || SSL_CTX_set_ciphersuites(ctx, cipher_suites) != 1
      || SSL_CTX_set1_groups_list(ctx, groups(pq, server)) != 1)
    return openssl_fail(ec::bad_request, "TLS 1.3 settings");
  return {};
}

result<void> set_server(tls_context::impl& self, const tls_server_options& options) {
  auto* ctx = self.ctx.get();
  constexpr std::string_view session_context = "ron";
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx, 1);
  SSL_CTX_set_session_id_context(ctx,
                                 reinterpret_cast<const unsigned char*>(session_context.data()),
                                 static_cast<unsigned int>(session_context.size()));
  use_ticket_keys(ctx, self.tickets.get());
  if (!self.alpn_wire.empty())
    SSL_CTX_set_alpn_select_cb(ctx, select_alpn, &self);
  if (self.staple) {
    SSL_CTX_set_tlsext_status_cb(ctx, staple);
    SSL_CTX_set_tlsext_status_arg(ctx, &self);
  }
  if (!options.client_ca.empty()) {
    auto* file = options.client_ca.c_str();
    if (SSL_CTX_load_verify_file(ctx, file) != 1)
      return openssl_fail(ec::bad_request, "client CA " + options.client_ca);
    SSL_CTX_set_client_CA_list(ctx, SSL_load_client_CA_file(file));
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return use_identity(ctx, *options.certificate);
}

result<void> set_trust(tls_context::impl& self, const tls_client_options& options) {
  auto* ctx = self.ctx.get();
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  if (self.pinned) {
    SSL_CTX_set_cert_verify_callback(ctx, verify_pin, &self);
    return {};
  }
  if (SSL_CTX_load_verify_file(ctx, options.ca_file.c_str()) != 1)
    return openssl_fail(ec::bad_request, "CA file " + options.ca_file);
  return {};
}

} // namespace

result<tls_context> tls_context::make_server(const tls_server_options& options) {
  if (!options.certificate || !options.tickets)
    return fail(ec::internal, "a TLS server needs a certificate and ticket keys");
  auto wire = alpn_wire(options.alpn);
  if (!wire)
    return std::unexpected{wire.error()};
  auto self = std::make_shared<impl>();
  self->server = true;
  self->alpn_wire = std::move(*wire);
  self->staple = options.staple;
  self->pq = options.pq;
  self->tickets = options.tickets;
  self->certificate = options.certificate;
  self->ctx.reset(SSL_CTX_new(TLS_server_method()));
  if (!self->ctx)
    return openssl_fail(ec::internal, "TLS context");
  if (auto ok = set_common(self->ctx.get(), options.pq, true); !ok)
    return std::unexpected{ok.error()};
  if (auto ok = set_server(*self, options); !ok)
    return std::unexpected{ok.error()};
  return tls_context{std::move(self)};
}

result<tls_context> tls_context::make_client(const tls_client_options& options) {
  if (options.pin.empty() == options.ca_file.empty())
    return fail(ec::bad_request, "a TLS client trusts either one pin or one CA file");
  auto wire = alpn_wire(options.alpn);
  if (!wire)
    return std::unexpected{wire.error()};
  auto self = std::make_shared<impl>();
  self->pinned = !options.pin.empty();
  if (self->pinned && (options.pin.size() != 64 || !from_hex(options.pin, self->pin)))
    return fail(ec::bad_request, "a pin is the SHA-256 of a certificate: 64 hex digits");
  self->alpn_wire = std::move(*wire);
  self->certificate = options.certificate;
  self->pq = options.pq;
  self->ctx.reset(SSL_CTX_new(TLS_client_method()));
  if (!self->ctx)
    return openssl_fail(ec::internal, "TLS context");
  auto* ctx = self->ctx.get();
  if (auto ok = set_common(ctx, options.pq, false); !ok)
    return std::unexpected{ok.error()};
  SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
  SSL_CTX_sess_set_new_cb(ctx, keep_ticket);
  auto& alpn = self->alpn_wire;
  if (!alpn.empty()
      && SSL_CTX_set_alpn_protos(ctx, crypto::wire(alpn), static_cast<unsigned>(alpn.size())))
    return openssl_fail(ec::bad_request, "alpn");
  if (auto ok = set_trust(*self, options); !ok)
    return std::unexpected{ok.error()};
  if (options.certificate)
    if (auto ok = use_identity(ctx, *options.certificate); !ok)
      return std::unexpected{ok.error()};
  return tls_context{std::move(self)};
}

int ticket_slot_index() noexcept {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

bool tls_context::is_server() const noexcept {
  return impl_->server;
}

ssl_ctx_st* tls_context::native() const noexcept {
  return impl_->ctx.get();
}

bool tls_context::pinned() const noexcept {
  return impl_->pinned;
}

config::pq_mode tls_context::pq() const noexcept {
  return impl_->pq;
}

} // namespace ron::core::crypto
