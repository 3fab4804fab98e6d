#include "core/crypto/secure_wipe.hpp"

#include <openssl/crypto.h>

namespace ron::core::crypto {

void secure_wipe(std::span<std::uint8_t> secret) noexcept {
  OPENSSL_cleanse(secret.data(), secret.size());
}

void secure_wipe(std::string& secret) noexcept {
  OPENSSL_cleanse(secret.data(), secret.size());
  secret.clear();
}

} // namespace ron::core::crypto
