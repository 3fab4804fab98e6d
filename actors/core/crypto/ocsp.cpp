#include "core/crypto/ocsp.hpp"

#include <openssl/ocsp.h>
#include <openssl/x509.h>

#include <ctime>
#include <fstream>
#include <iterator>

namespace ron::core::crypto {

namespace {

struct ocsp_free {
  void operator()(OCSP_RESPONSE* p) const noexcept { OCSP_RESPONSE_free(p); }
  void operator()(OCSP_BASICRESP* p) const noexcept { OCSP_BASICRESP_free(p); }
};
using response_ptr = std::unique_ptr<OCSP_RESPONSE, ocsp_free>;
using basic_ptr = std::unique_ptr<OCSP_BASICRESP, ocsp_free>;

result<std::string> read_response(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return fail(ec::bad_request, path + ": cannot be opened");
  std::string der(ocsp_staple::bytes_max + 1, '\0');
  in.read(der.data(), static_cast<std::streamsize>(der.size()));
  der.resize(static_cast<std::size_t>(in.gcount()));
  if (der.size() > ocsp_staple::bytes_max)
    return fail(ec::bad_request, path + ": more than 64 KiB");
  return der;
}

/// The part of the response that is about the certificate, by its serial number; null: none is.
OCSP_SINGLERESP* about_leaf(OCSP_BASICRESP* basic, const identity& id) {
  const auto* wanted = X509_get0_serialNumber(id.leaf());
  for (int i = 0; i < OCSP_resp_count(basic); ++i) {
    auto* one = OCSP_resp_get0(basic, i);
    ASN1_INTEGER* serial = nullptr;
    auto* which = const_cast<OCSP_CERTID*>(OCSP_SINGLERESP_get0_id(one));
    if (OCSP_id_get0_info(nullptr, nullptr, nullptr, &serial, which) == 1
        && ASN1_INTEGER_cmp(serial, wanted) == 0)
      return one;
  }
  return nullptr;
}

std::int64_t unix_time(const ASN1_GENERALIZEDTIME* t) {
  std::tm parts{};
  if (!t || ASN1_TIME_to_tm(t, &parts) != 1)
    return 0;
  return ::timegm(&parts);
}

} // namespace

result<ocsp_staple_ptr> ocsp_staple::load(const std::string& file, const identity& about) {
  auto der = read_response(file);
  if (!der)
    return std::unexpected{der.error()};
  return read(std::move(*der), about, file);
}

result<ocsp_staple_ptr> ocsp_staple::read(std::string der, const identity& about,
                                          const std::string& where) {
  clear_openssl_errors();
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  response_ptr response{d2i_OCSP_RESPONSE(nullptr, &at, static_cast<long>(der.size()))};
  if (!response)
    return openssl_fail(ec::bad_request, where + ": no OCSP response in DER");
  if (auto status = OCSP_response_status(response.get()); status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    return fail(ec::bad_request,
                where + ": the authority answered " + OCSP_response_status_str(status));
  basic_ptr basic{OCSP_response_get1_basic(response.get())};
  if (!basic)
    return openssl_fail(ec::bad_request, where + ": an OCSP response of an unknown kind");
  auto* one = about_leaf(basic.get(), about);
  if (!one)
    return fail(ec::bad_request, where + ": says nothing about the certificate of transport.cert");
  ASN1_GENERALIZEDTIME* next = nullptr;
  if (auto status = OCSP_single_get0_status(one, nullptr, nullptr, nullptr, &next);
      status != V_OCSP_CERTSTATUS_GOOD)
    return fail(ec::bad_request,
                where + ": says that the certificate is " + OCSP_cert_status_str(status));
  return std::make_shared<const ocsp_staple>(ocsp_staple{std::move(der), unix_time(next)});
}

} // namespace ron::core::crypto
