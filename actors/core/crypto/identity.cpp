#include "core/crypto/identity.hpp"

#include "core/crypto/digest.hpp"
#include "core/crypto/secure_wipe.hpp"
#include "core/ids.hpp"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <ctime>
#include <fstream>
#include <iterator>

namespace ron::core::crypto {

namespace {

constexpr std::size_t pem_bytes_max = 256u << 10;
constexpr std::size_t chain_max = 8;
constexpr long validity_seconds = 397L * 86'400; // the longest that browsers accept
constexpr long clock_skew_seconds = 3'600;

bool add_extension(X509* cert, int nid, const char* value) {
  X509V3_CTX ctx;
  X509V3_set_ctx_nodb(&ctx);
  X509V3_set_ctx(&ctx, cert, cert, nullptr, nullptr, 0);
  x509_extension_ptr ext{X509V3_EXT_conf_nid(nullptr, &ctx, nid, value)};
  return ext && X509_add_ext(cert, ext.get(), -1) == 1;
}

bool set_random_serial(X509* cert) {
  std::array<std::uint8_t, 16> serial{};
  random_bytes(serial);
  serial[0] = static_cast<std::uint8_t>((serial[0] & 0x7f) | 0x40); // positive, of full length
  BIGNUM* n = BN_bin2bn(serial.data(), static_cast<int>(serial.size()), nullptr);
  bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert));
  BN_free(n);
  return ok;
}

bool set_name(X509* cert) {
  auto* name = X509_get_subject_name(cert);
  auto* text = reinterpret_cast<const unsigned char*>("localhost");
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, text, -1, -1, 0) == 1
         && X509_set_issuer_name(cert, name) == 1;
}

bool fill_certificate(X509* cert, EVP_PKEY* key) {
  return X509_set_version(cert, X509_VERSION_3) == 1 && set_random_serial(cert)
         && X509_gmtime_adj(X509_getm_notBefore(cert), -clock_skew_seconds)
         && X509_gmtime_adj(X509_getm_notAfter(cert), validity_seconds)
         && X509_set_pubkey(cert, key) == 1 && set_name(cert)
         && add_extension(cert, NID_basic_constraints, "critical,CA:FALSE")
         && add_extension(cert, NID_key_usage, "critical,digitalSignature")
         && add_extension(cert, NID_ext_key_usage, "serverAuth")
         && add_extension(cert, NID_subject_alt_name, "DNS:localhost,IP:127.0.0.1,IP:::1")
         && add_extension(cert, NID_subject_key_identifier, "hash")
         && add_extension(cert, NID_authority_key_identifier, "keyid")
         && X509_sign(cert, key, EVP_sha256()) > 0;
}

result<std::string> read_pem_file(const std::string& path) {
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return fail(ec::bad_request, path + ": cannot be opened");
  std::string text(pem_bytes_max + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > pem_bytes_max)
    return fail(ec::bad_request, path + ": more than 256 KiB");
  return text;
}

bio_ptr view_of(const std::string& text) {
  return bio_ptr{BIO_new_mem_buf(text.data(), static_cast<int>(text.size()))};
}

// An encrypted key is an error, never a prompt on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

result<std::vector<x509_ptr>> read_chain(const std::string& path) {
  auto text = read_pem_file(path);
  if (!text)
    return std::unexpected{text.error()};
  auto in = view_of(*text);
  std::vector<x509_ptr> chain;
  while (X509* cert = PEM_read_bio_X509(in.get(), nullptr, no_passphrase, nullptr)) {
    chain.emplace_back(cert);
    if (chain.size() > chain_max)
      return fail(ec::bad_request, path + ": more than 8 certificates");
  }
  auto last = ERR_peek_last_error();
  bool at_end = ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
  if (chain.empty() || !at_end)
    return openssl_fail(ec::bad_request, path + ": no readable PEM certificate");
  ERR_clear_error();
  return chain;
}

result<pkey_ptr> read_key(const std::string& path) {
  auto text = read_pem_file(path);
  if (!text)
    return std::unexpected{text.error()};
  auto in = view_of(*text);
  pkey_ptr key{PEM_read_bio_PrivateKey(in.get(), nullptr, no_passphrase, nullptr)};
  secure_wipe(*text);
  if (!key)
    return openssl_fail(ec::bad_request, path + ": no readable PEM key without passphrase");
  return key;
}

} // namespace

std::string cert_sha256_hex(x509_st* cert) {
  unsigned char* der = nullptr;
  int n = i2d_X509(cert, &der);
  if (n <= 0)
    return {};
  auto digest = sha256({der, static_cast<std::size_t>(n)});
  OPENSSL_free(der);
  return to_hex(digest);
}

identity::identity(std::vector<x509_ptr> chain, pkey_ptr key)
  : chain_(std::move(chain)), key_(std::move(key)), cert_sha256_(cert_sha256_hex(leaf())) {
  // nop
}

identity::~identity() = default;

result<identity_ptr> identity::make_development() {
  pkey_ptr key{EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")};
  x509_ptr cert{X509_new()};
  if (!key || !cert || !fill_certificate(cert.get(), key.get()))
    return openssl_fail(ec::internal, "the development certificate could not be made");
  std::vector<x509_ptr> chain;
  chain.push_back(std::move(cert));
  return identity_ptr{new identity(std::move(chain), std::move(key))};
}

result<identity_ptr> identity::load(const std::string& cert_file, const std::string& key_file) {
  ERR_clear_error();
  auto chain = read_chain(cert_file);
  if (!chain)
    return std::unexpected{chain.error()};
  auto key = read_key(key_file);
  if (!key)
    return std::unexpected{key.error()};
  if (X509_check_private_key(chain->front().get(), key->get()) != 1)
    return openssl_fail(ec::bad_request, key_file + ": not the key of " + cert_file);
  return identity_ptr{new identity(std::move(*chain), std::move(*key))};
}

std::int64_t identity::not_after_s() const noexcept {
  std::int64_t first = 0;
  for (auto& cert : chain_) {
    std::tm parts{};
    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert.get()), &parts) != 1)
      continue;
    const std::int64_t end = ::timegm(&parts);
    first = first == 0 ? end : std::min(first, end);
  }
  return first;
}

std::string identity::chain_pem() const {
  bio_ptr out{BIO_new(BIO_s_mem())};
  for (auto& cert : chain_)
    PEM_write_bio_X509(out.get(), cert.get());
  char* data = nullptr;
  auto n = BIO_get_mem_data(out.get(), &data);
  return n > 0 ? std::string(data, static_cast<std::size_t>(n)) : std::string{};
}

} // namespace ron::core::crypto
