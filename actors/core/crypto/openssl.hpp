#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"

#include <memory>
#include <string>
#include <string_view>

// OpenSSL's own names for its types, so that this header stays light.
struct bio_st;
struct evp_cipher_st;
struct evp_pkey_st;
struct ssl_ctx_st;
struct ssl_session_st;
struct ssl_st;
struct x509_st;
struct X509_extension_st;

/// Ownership of OpenSSL objects and its error queue. For the files of core/crypto, transport/tls
/// and transport/quic only.
namespace ron::core::crypto {

/// Frees each kind of object with its own function.
struct openssl_free {
  void operator()(bio_st* p) const noexcept;
  void operator()(evp_cipher_st* p) const noexcept;
  void operator()(evp_pkey_st* p) const noexcept;
  void operator()(ssl_ctx_st* p) const noexcept;
  void operator()(ssl_session_st* p) const noexcept;
  void operator()(ssl_st* p) const noexcept;
  void operator()(x509_st* p) const noexcept;
  void operator()(X509_extension_st* p) const noexcept;
};

using bio_ptr = std::unique_ptr<bio_st, openssl_free>;
using cipher_ptr = std::unique_ptr<evp_cipher_st, openssl_free>;
using pkey_ptr = std::unique_ptr<evp_pkey_st, openssl_free>;
using ssl_ctx_ptr = std::unique_ptr<ssl_ctx_st, openssl_free>;
using ssl_session_ptr = std::unique_ptr<ssl_session_st, openssl_free>;
using ssl_ptr = std::unique_ptr<ssl_st, openssl_free>;
using x509_ptr = std::unique_ptr<x509_st, openssl_free>;
using x509_extension_ptr = std::unique_ptr<X509_extension_st, openssl_free>;

/// Empties this thread's error queue: SSL_get_error looks at it, so nothing older may be there.
/// Costs next to nothing when it is empty; ERR_clear_error always does.
void clear_openssl_errors() noexcept;

/// Empties this thread's error queue and renders it as "what: reason, reason". Never holds data
/// of a peer or a secret; `what` alone when the queue was empty.
std::string openssl_error_text(std::string_view what);

/// The queue as an error, for the one place where a failed call is translated.
std::unexpected<error> openssl_fail(ec code, std::string_view what);

} // namespace ron::core::crypto
