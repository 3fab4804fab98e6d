#include "core/crypto/tls_session.hpp"

#include "core/crypto/tls_ticket.hpp"
#include "core/crypto/tls_window.hpp"

#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace ron::core::crypto {

namespace {

constexpr std::size_t record_plain_max = 16'384;
constexpr std::size_t record_overhead = 22; // header 5, content type 1, tag 16
constexpr std::size_t small_record_plain = 4'096;
constexpr std::size_t small_records_bytes = 16'384; // about the first flight of TCP

bool is_address(const std::string& name) {
  ASN1_OCTET_STRING* address = a2i_IPADDRESS(name.c_str());
  ASN1_OCTET_STRING_free(address);
  clear_openssl_errors();
  return address != nullptr;
}

std::string text_or_empty(const char* s) {
  return s ? std::string{s} : std::string{};
}

// As RFC 8446 writes it; OpenSSL has it in lower case.
std::string group_name(SSL* ssl) {
  auto name = text_or_empty(SSL_get0_group_name(ssl));
  return name == "x25519" ? "X25519" : name;
}

std::string_view alpn_of(const ssl_st* ssl) noexcept {
  const unsigned char* name = nullptr;
  unsigned int n = 0;
  SSL_get0_alpn_selected(ssl, &name, &n);
  return {reinterpret_cast<const char*>(name), n};
}

} // namespace

tls_info info_of(ssl_st* ssl, const tls_context& context) {
  tls_info out;
  out.version = text_or_empty(SSL_get_version(ssl));
  out.cipher = text_or_empty(SSL_get_cipher_name(ssl));
  out.group = group_name(ssl);
  out.alpn = std::string{alpn_of(ssl)};
  out.resumed = SSL_session_reused(ssl) == 1;
  out.hybrid = out.group == "X25519MLKEM768";
  out.downgraded = !out.hybrid && context.pq() != config::pq_mode::off;
  if (auto* cert = SSL_get0_peer_certificate(ssl))
    out.peer_cert_sha256 = cert_sha256_hex(cert);
  return out;
}

struct tls_session::impl {
  explicit impl(const tls_context& c) : context(c) {}

  result<void> set_up();
  result<void> set_peer(const std::string& name, const std::optional<tls_ticket>& resume);
  result<void> go_on();
  result<void> read(std::span<std::uint8_t> room, std::size_t& produced);
  result<void> write_record(byte_view plain);
  std::unexpected<error> broken(std::string_view what);

  std::size_t record_plain() const noexcept {
    return small_left > 0 ? small_record_plain : record_plain_max;
  }

  tls_context context;
  std::string server_name;
  tls_window window;
  ssl_session_ptr ticket; // filled by OpenSSL's callback
  bool open = false;
  bool failed = false;
  bool shut_down = false;
  bool peer_closed = false;
  std::size_t small_left = small_records_bytes;
  ssl_ptr ssl; // last: freed before the window and the ticket it points to
};

result<void> tls_session::impl::set_up() {
  clear_openssl_errors();
  ssl.reset(SSL_new(context.native()));
  auto bio = make_window_bio(&window);
  if (!ssl || !bio)
    return openssl_fail(ec::internal, "TLS session");
  SSL_set0_rbio(ssl.get(), bio.get());
  BIO_up_ref(bio.get());
  SSL_set0_wbio(ssl.get(), bio.release());
  if (context.is_server())
    SSL_set_accept_state(ssl.get());
  else
    SSL_set_connect_state(ssl.get());
  return {};
}

result<void> tls_session::impl::set_peer(const std::string& name,
                                         const std::optional<tls_ticket>& resume) {
  server_name = name;
  SSL_set_ex_data(ssl.get(), ticket_slot_index(), &ticket);
  if (!is_address(name) && SSL_set_tlsext_host_name(ssl.get(), name.c_str()) != 1)
    return openssl_fail(ec::bad_request, "server name");
  if (!context.pinned()) {
    SSL_set_hostflags(ssl.get(), X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (name.empty() || SSL_set1_host(ssl.get(), name.c_str()) != 1)
      return openssl_fail(ec::bad_request, "server name");
  }
  if (resume)
    offer_ticket(*resume, ssl.get(), context, name);
  return {};
}

std::unexpected<error> tls_session::impl::broken(std::string_view what) {
  failed = true;
  auto verdict = SSL_get_verify_result(ssl.get());
  if (verdict == X509_V_OK)
    return openssl_fail(ec::bad_request, what);
  clear_openssl_errors();
  return fail(ec::unauth, std::string{what} + ": the peer's certificate: "
                            + X509_verify_cert_error_string(verdict));
}

result<void> tls_session::impl::go_on() {
  clear_openssl_errors();
  int rc = SSL_do_handshake(ssl.get());
  if (rc == 1) {
    open = true;
    return {};
  }
  if (SSL_get_error(ssl.get(), rc) == SSL_ERROR_WANT_READ)
    return {};
  return broken("TLS handshake");
}

result<void> tls_session::impl::read(std::span<std::uint8_t> room, std::size_t& produced) {
  // Asking once more when there is nothing costs as much as a small record: OpenSSL makes a buffer
  // to read into and gives it back.
  while (produced < room.size() && !peer_closed
         && (!window.input.empty() || SSL_has_pending(ssl.get()) == 1)) {
    std::size_t n = 0;
    clear_openssl_errors();
    int rc = SSL_read_ex(ssl.get(), room.data() + produced, room.size() - produced, &n);
    if (rc == 1) {
      produced += n;
      continue;
    }
    switch (SSL_get_error(ssl.get(), rc)) {
    case SSL_ERROR_WANT_READ:
      return {};
    case SSL_ERROR_ZERO_RETURN:
      peer_closed = true;
      break;
    default:
      return broken("TLS read");
    }
  }
  return {};
}

result<void> tls_session::impl::write_record(byte_view plain) {
  std::size_t done = 0;
  clear_openssl_errors();
  if (SSL_write_ex(ssl.get(), plain.data(), plain.size(), &done) != 1)
    return broken("TLS write");
  small_left -= std::min(small_left, plain.size());
  return {};
}

tls_session::tls_session(std::unique_ptr<impl> p) noexcept : impl_(std::move(p)) {
  // nop
}
tls_session::tls_session(tls_session&&) noexcept = default;
tls_session& tls_session::operator=(tls_session&&) noexcept = default;
tls_session::~tls_session() = default;

result<tls_session> tls_session::accept(const tls_context& context) {
  if (!context.is_server())
    return fail(ec::internal, "a client context cannot accept");
  auto self = std::make_unique<impl>(context);
  if (auto ok = self->set_up(); !ok)
    return std::unexpected{ok.error()};
  return tls_session{std::move(self)};
}

result<tls_session> tls_session::connect(const tls_context& context, const std::string& server_name,
                                         const std::optional<tls_ticket>& resume) {
  if (context.is_server())
    return fail(ec::internal, "a server context cannot connect");
  auto self = std::make_unique<impl>(context);
  if (auto ok = self->set_up(); !ok)
    return std::unexpected{ok.error()};
  if (auto ok = self->set_peer(server_name, resume); !ok)
    return std::unexpected{ok.error()};
  if (auto ok = self->go_on(); !ok)
    return std::unexpected{ok.error()};
  return tls_session{std::move(self)};
}

result<tls_session::progress> tls_session::feed(byte_view ciphertext,
                                                std::span<std::uint8_t> room) {
  auto& s = *impl_;
  if (s.failed)
    return fail(ec::bad_request, "the TLS session has failed before");
  if (s.peer_closed)
    return progress{ciphertext.size(), 0}; // whatever follows close_notify is ignored
  s.window.input = ciphertext;
  std::size_t produced = 0;
  result<void> ok;
  if (!s.open)
    ok = s.go_on();
  if (ok && s.open)
    ok = s.read(room, produced);
  auto left = s.window.input.size();
  s.window.input = {};
  if (!ok)
    return std::unexpected{ok.error()};
  if (s.peer_closed)
    left = 0;
  return progress{ciphertext.size() - left, produced};
}

result<void> tls_session::write(std::span<const bytes> plaintext) {
  auto& s = *impl_;
  if (!s.open || s.failed || s.shut_down)
    return fail(ec::internal, "nothing can be written in this state of the TLS session");
  std::size_t total = 0;
  for (auto& x : plaintext)
    total += x.size();
  s.window.expected = total + (total / s.record_plain() + 1) * record_overhead;
  // Records are filled across slices; only a slice that fills a whole record is not copied here.
  thread_local std::array<std::uint8_t, record_plain_max> staging;
  std::size_t staged = 0;
  for (auto& slice : plaintext) {
    auto rest = slice.view();
    while (!rest.empty()) {
      auto limit = s.record_plain();
      auto n = std::min(rest.size(), limit - std::min(limit, staged));
      if (staged == 0 && n == limit) {
        if (auto ok = s.write_record(rest.first(n)); !ok)
          return ok;
      } else {
        std::memcpy(staging.data() + staged, rest.data(), n);
        staged += n;
        if (staged >= limit) {
          if (auto ok = s.write_record({staging.data(), staged}); !ok)
            return ok;
          staged = 0;
        }
      }
      rest = rest.subspan(n);
    }
  }
  if (staged > 0)
    return s.write_record({staging.data(), staged});
  return {};
}

void tls_session::shutdown() {
  auto& s = *impl_;
  if (s.shut_down || s.failed)
    return;
  s.shut_down = true;
  if (!s.open)
    return; // close_notify has no meaning before the handshake is complete
  clear_openssl_errors();
  SSL_shutdown(s.ssl.get());
  clear_openssl_errors();
}

std::size_t tls_session::output_bytes() const noexcept {
  return impl_->window.output_bytes;
}

void tls_session::take_output(std::vector<bytes>& out) {
  impl_->window.take(out);
}

void tls_session::restart_small_records() noexcept {
  impl_->small_left = small_records_bytes;
}

bool tls_session::holds_partial() const noexcept {
  return SSL_has_pending(impl_->ssl.get()) == 1;
}

bool tls_session::is_open() const noexcept {
  return impl_->open;
}

bool tls_session::peer_closed() const noexcept {
  return impl_->peer_closed;
}

std::string_view tls_session::alpn() const noexcept {
  return alpn_of(impl_->ssl.get());
}

tls_info tls_session::info() const {
  return info_of(impl_->ssl.get(), impl_->context);
}

std::optional<tls_ticket> tls_session::take_ticket() {
  auto& s = *impl_;
  if (!s.ticket)
    return std::nullopt;
  return make_ticket(s.context, s.server_name, std::move(s.ticket));
}

} // namespace ron::core::crypto
