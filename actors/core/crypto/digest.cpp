#include "core/crypto/digest.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

namespace ron::core::crypto {

sha256_digest sha256(byte_view data) {
  sha256_digest out{};
  SHA256(data.data(), data.size(), out.data());
  return out;
}

sha256_digest hmac_sha256(byte_view key, byte_view data) {
  sha256_digest out{};
  unsigned int n = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), data.data(), data.size(),
       out.data(), &n);
  return out;
}

bool equal_secrets(const sha256_digest& a, const sha256_digest& b) noexcept {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

} // namespace ron::core::crypto
