#pragma once

#include "core/crypto/openssl.hpp"
#include "core/error.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace ron::core::crypto {

/// A certificate chain and its private key: what one end shows to the other. Immutable, shared by
/// the contexts of all shards; any thread.
class identity {
public:
  /// A fresh P-256 certificate that lives in RAM only: self-signed, serverAuth, valid for 397 days,
  /// subject alternative names `localhost`, 127.0.0.1 and ::1. Clients trust it by its digest.
  static result<std::shared_ptr<const identity>> make_development();

  /// Loads a PEM chain (leaf first, at most 8 certificates) and a PEM key without passphrase; each
  /// file at most 256 KiB. Error: bad_request naming the file and what is wrong with it.
  static result<std::shared_ptr<const identity>> load(const std::string& cert_file,
                                                      const std::string& key_file);

  identity(const identity&) = delete;
  identity& operator=(const identity&) = delete;
  ~identity();

  /// Lower-case hex of the SHA-256 of the leaf's DER: what `--pin` takes and the ready line says.
  const std::string& cert_sha256() const noexcept { return cert_sha256_; }
  /// Unix time at which the first certificate of the chain ends; 0 when none says so.
  std::int64_t not_after_s() const noexcept;
  /// The chain as PEM, for clients that want a CA file.
  std::string chain_pem() const;

  /// For the context factories of this folder and of transport/quic.
  x509_st* leaf() const noexcept { return chain_.front().get(); }
  const std::vector<x509_ptr>& chain() const noexcept { return chain_; }
  evp_pkey_st* key() const noexcept { return key_.get(); }

private:
  identity(std::vector<x509_ptr> chain, pkey_ptr key);

  std::vector<x509_ptr> chain_; // leaf first, never empty
  pkey_ptr key_;
  std::string cert_sha256_;
};

using identity_ptr = std::shared_ptr<const identity>;

/// Lower-case hex of the SHA-256 of a certificate's DER; empty when it cannot be encoded.
std::string cert_sha256_hex(x509_st* cert);

} // namespace ron::core::crypto
