#include "core/crypto/openssl.hpp"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

namespace ron::core::crypto {

void openssl_free::operator()(bio_st* p) const noexcept {
  BIO_free_all(p);
}
void openssl_free::operator()(evp_cipher_st* p) const noexcept {
  EVP_CIPHER_free(p);
}
void openssl_free::operator()(evp_pkey_st* p) const noexcept {
  EVP_PKEY_free(p);
}
void openssl_free::operator()(ssl_ctx_st* p) const noexcept {
  SSL_CTX_free(p);
}
void openssl_free::operator()(ssl_session_st* p) const noexcept {
  SSL_SESSION_free(p);
}
void openssl_free::operator()(ssl_st* p) const noexcept {
  SSL_free(p);
}
void openssl_free::operator()(x509_st* p) const noexcept {
  X509_free(p);
}
void openssl_free::operator()(X509_extension_st* p) const noexcept {
  X509_EXTENSION_free(p);
}

void clear_openssl_errors() noexcept {
  if (ERR_peek_error() != 0)
    ERR_clear_error();
}

std::string openssl_error_text(std::string_view what) {
  constexpr int reasons_max = 4; // the queue of OpenSSL holds 16; the first ones tell the cause
  std::string out{what};
  int n = 0;
  while (auto e = ERR_get_error()) {
    if (n++ >= reasons_max)
      continue;
    out += n == 1 ? ": " : ", ";
    if (auto* text = ERR_reason_error_string(e))
      out += text;
    else
      out += "error " + std::to_string(e);
  }
  return out;
}

std::unexpected<error> openssl_fail(ec code, std::string_view what) {
  return fail(code, openssl_error_text(what));
}

} // namespace ron::core::crypto
