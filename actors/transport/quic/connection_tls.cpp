#include "core/crypto/tls_ticket.hpp"
#include "transport/quic/connection_impl.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <mutex>
#include <string_view>

namespace ron::transport::quic {

using core::ec;

namespace {

bool is_address(const std::string& name) {
  auto* literal = a2i_IPADDRESS(name.c_str());
  ASN1_OCTET_STRING_free(literal);
  ERR_clear_error();
  return literal != nullptr;
}

ngtcp2_conn* conn_of(ngtcp2_crypto_conn_ref* ref) {
  return static_cast<connection::impl*>(ref->user_data)->conn.get();
}

} // namespace

core::result<void> connection::impl::start_tls(const core::crypto::tls_context& settings,
                                               const std::string& name, const resumption& from) {
  static const int ready = ngtcp2_crypto_ossl_init();
  if (ready != 0)
    return core::fail(ec::internal, "QUIC: OpenSSL has no suitable ciphers");
  context = settings;
  ERR_clear_error();
  ssl.reset(SSL_new(settings.native()));
  ngtcp2_crypto_ossl_ctx* made = nullptr;
  if (!ssl || ngtcp2_crypto_ossl_ctx_new(&made, ssl.get()) != 0)
    return core::crypto::openssl_fail(ec::internal, "QUIC TLS session");
  tls.reset(made);
  ref = {conn_of, this};
  SSL_set_app_data(ssl.get(), &ref);
  ngtcp2_conn_set_tls_native_handle(conn.get(), tls.get());
  if (who == side::server) {
    if (ngtcp2_crypto_ossl_configure_server_session(ssl.get()) != 0)
      return core::crypto::openssl_fail(ec::internal, "QUIC TLS session");
    SSL_set_accept_state(ssl.get());
    if (early_allowed) {
      // Tickets are kept by nobody, so nobody can say that one comes for the second time: what
      // runs early is such that it does not matter.
      SSL_set_options(ssl.get(), SSL_OP_NO_ANTI_REPLAY);
      SSL_set_max_early_data(ssl.get(), 0xffff'ffff); // RFC 9001, 4.6.1
      SSL_set_quic_tls_early_data_enabled(ssl.get(), 1);
    }
    return {};
  }
  if (ngtcp2_crypto_ossl_configure_client_session(ssl.get()) != 0)
    return core::crypto::openssl_fail(ec::internal, "QUIC TLS session");
  SSL_set_connect_state(ssl.get());
  server_name = name;
  SSL_set_ex_data(ssl.get(), core::crypto::ticket_slot_index(), &given_ticket);
  if (!is_address(name) && SSL_set_tlsext_host_name(ssl.get(), name.c_str()) != 1)
    return core::crypto::openssl_fail(ec::bad_request, "server name");
  if (!settings.pinned()) {
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (name.empty() || SSL_set1_host(ssl.get(), name.c_str()) != 1)
      return core::crypto::openssl_fail(ec::bad_request, "server name");
  }
  if (from.ticket && core::crypto::offer_ticket(*from.ticket, ssl.get(), settings, name))
    early = early_allowed && start_early(from);
  return {};
}

/// Client: streams may be opened from now on. False if ticket or parameters do not allow it.
bool connection::impl::start_early(const resumption& from) {
  if (from.params.empty() || !core::crypto::allows_early_data(*from.ticket))
    return false;
  const int rc = ngtcp2_conn_decode_and_set_0rtt_transport_params(conn.get(), from.params.data(),
                                                                  from.params.size());
  if (rc != 0)
    return false;
  SSL_set_quic_tls_early_data_enabled(ssl.get(), 1);
  return true;
}

/// At the end of the handshake.
early_fate connection::impl::early_verdict() const {
  switch (SSL_get_early_data_status(ssl.get())) {
  case SSL_EARLY_DATA_ACCEPTED:
    return early_fate::accepted;
  case SSL_EARLY_DATA_REJECTED:
    return early_fate::rejected;
  default:
    return early_fate::none;
  }
}

bool connection::impl::speaks_oap() const {
  const unsigned char* name = nullptr;
  unsigned int n = 0;
  SSL_get0_alpn_selected(ssl.get(), &name, &n);
  return std::string_view{reinterpret_cast<const char*>(name), n} == "oap/1";
}

/// Before `ssl` is freed.
void connection::impl::take_leave_of_tls() noexcept {
  SSL_set_app_data(ssl.get(), nullptr); // OpenSSL may call back while it is freed
  // Or it would call the ticket bad; QUIC has an end of its own.
  SSL_set_shutdown(ssl.get(), SSL_SENT_SHUTDOWN);
}

/// Server: the handshake is complete, its tickets are with ngtcp2, and a client has nothing more to
/// say to TLS (RFC 9001, 6: keys change without it; RFC 8446, 4.6: the rest is the server's to say
/// or to ask for). What TLS keeps is a fifth of an idle connection's memory. Not inside ngtcp2.
void connection::impl::let_go_of_tls() {
  agreed = core::crypto::info_of(ssl.get(), *context);
  take_leave_of_tls();
  ngtcp2_conn_set_tls_native_handle(conn.get(), nullptr);
  tls.reset();
  ssl.reset();
}

/// Why TLS gave up, if it was about the peer's certificate.
std::string connection::impl::tls_failure() const {
  if (!ssl)
    return "TLS after the handshake";
  const auto verdict = SSL_get_verify_result(ssl.get());
  ERR_clear_error();
  if (verdict == X509_V_OK)
    return "TLS handshake failed";
  return std::string{"the peer's certificate: "} + X509_verify_cert_error_string(verdict);
}

core::crypto::tls_info connection::tls() const {
  return impl_->agreed ? *impl_->agreed : core::crypto::info_of(impl_->ssl.get(), *impl_->context);
}

} // namespace ron::transport::quic
