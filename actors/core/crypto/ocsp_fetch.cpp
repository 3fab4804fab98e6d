#include "core/crypto/ocsp_fetch.hpp"

#include <openssl/bio.h>
#include <openssl/http.h>
#include <openssl/ocsp.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <memory>
#include <utility>

namespace ron::core::crypto {

namespace {

constexpr long clock_skew_seconds = 300;

template <auto Free>
struct free_by {
  template <class T>
  void operator()(T* p) const noexcept {
    Free(p);
  }
};
template <class T, auto Free>
using owned = std::unique_ptr<T, free_by<Free>>;

void free_addresses(STACK_OF(OPENSSL_STRING) * p) {
  X509_email_free(p);
}
void free_text(char* p) {
  OPENSSL_free(p);
}
void free_certificates(STACK_OF(X509) * p) {
  sk_X509_free(p); // they are the identity's
}

using question = owned<OCSP_REQUEST, OCSP_REQUEST_free>;
using answer = owned<OCSP_RESPONSE, OCSP_RESPONSE_free>;
using basic_answer = owned<OCSP_BASICRESP, OCSP_BASICRESP_free>;
using certificate_id = owned<OCSP_CERTID, OCSP_CERTID_free>;
using text = owned<char, free_text>;

x509_st* issuer_of(const identity& id) {
  return id.chain()[1].get();
}

question ask_about(const identity& id) {
  question q{OCSP_REQUEST_new()};
  certificate_id which{OCSP_cert_to_id(nullptr, id.leaf(), issuer_of(id))};
  if (!q || !which || !OCSP_request_add0_id(q.get(), which.get()))
    return {};
  which.release(); // the question's now
  return q;
}

/// Sends the question to `url`; the DER of what comes back.
result<std::string> exchange(const std::string& url, OCSP_REQUEST* q,
                             std::chrono::seconds patience) {
  char *host = nullptr, *port = nullptr, *path = nullptr;
  if (OSSL_HTTP_parse_url(url.c_str(), nullptr, nullptr, &host, &port, nullptr, &path, nullptr,
                          nullptr)
      != 1)
    return openssl_fail(ec::bad_request, url);
  text host_owner{host}, port_owner{port}, path_owner{path};
  bio_ptr body{BIO_new(BIO_s_mem())};
  if (!body || i2d_OCSP_REQUEST_bio(body.get(), q) != 1)
    return openssl_fail(ec::internal, "OCSP request");
  bio_ptr got{OSSL_HTTP_transfer(nullptr, host, port, path, 0, nullptr, nullptr, nullptr, nullptr,
                                 nullptr, nullptr, 0, nullptr, "application/ocsp-request",
                                 body.get(), "application/ocsp-response", 1, ocsp_staple::bytes_max,
                                 static_cast<int>(patience.count()), 0)};
  if (!got)
    return openssl_fail(ec::degraded, url);
  std::string der(ocsp_staple::bytes_max, '\0');
  std::size_t n = 0, filled = 0;
  while (filled < der.size()
         && BIO_read_ex(got.get(), der.data() + filled, der.size() - filled, &n) == 1)
    filled += n;
  der.resize(filled);
  return der;
}

/// Signed by the issuer or by whom it delegated, about now.
result<void> verify(const std::string& url, const std::string& der, const identity& about) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  answer whole{d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size()))};
  basic_answer basic{whole ? OCSP_response_get1_basic(whole.get()) : nullptr};
  owned<STACK_OF(X509), free_certificates> chain{sk_X509_new_null()};
  owned<X509_STORE, X509_STORE_free> trust{X509_STORE_new()};
  if (!basic || !chain || !trust)
    return openssl_fail(ec::bad_request, url + ": no OCSP response");
  for (const auto& c : about.chain())
    if (c.get() != about.leaf())
      sk_X509_push(chain.get(), c.get());
  X509_STORE_add_cert(trust.get(), issuer_of(about));
  X509_STORE_set_flags(trust.get(), X509_V_FLAG_PARTIAL_CHAIN);
  if (OCSP_basic_verify(basic.get(), chain.get(), trust.get(), 0) != 1)
    return openssl_fail(ec::bad_request, url + ": not signed by the certificate's issuer");
  for (int i = 0; i < OCSP_resp_count(basic.get()); ++i) {
    ASN1_GENERALIZEDTIME *from = nullptr, *until = nullptr;
    OCSP_single_get0_status(OCSP_resp_get0(basic.get(), i), nullptr, nullptr, &from, &until);
    if (OCSP_check_validity(from, until, clock_skew_seconds, -1) != 1)
      return openssl_fail(ec::bad_request, url + ": not valid now");
  }
  return {};
}

} // namespace

result<std::string> ocsp_responder(const identity& about) {
  if (about.chain().size() < 2)
    return fail(ec::bad_request, "the issuer's certificate is not in the chain: transport.cert has "
                                 "to hold it behind the node's own");
  owned<STACK_OF(OPENSSL_STRING), free_addresses> all{X509_get1_ocsp(about.leaf())};
  for (int i = 0; i < sk_OPENSSL_STRING_num(all.get()); ++i) {
    const std::string url = sk_OPENSSL_STRING_value(all.get(), i);
    if (url.starts_with("http://"))
      return url;
  }
  return fail(ec::bad_request, "the certificate names no OCSP address (http://...)");
}

result<ocsp_staple_ptr> fetch_staple(const identity& about, std::chrono::seconds patience) {
  clear_openssl_errors();
  auto url = ocsp_responder(about);
  if (!url)
    return std::unexpected{url.error()};
  auto q = ask_about(about);
  if (!q)
    return openssl_fail(ec::internal, "OCSP request");
  auto der = exchange(*url, q.get(), patience);
  if (!der)
    return std::unexpected{der.error()};
  // Says what is wrong in plain words where it can.
  auto staple = ocsp_staple::read(*der, about, *url);
  if (!staple)
    return staple;
  if (auto ok = verify(*url, *der, about); !ok)
    return std::unexpected{ok.error()};
  return staple;
}

} // namespace ron::core::crypto
