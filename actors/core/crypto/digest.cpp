#include "core/crypto/digest.hpp"

#include <openssl/sha.h>

namespace ron::core::crypto {

sha256_digest sha256(byte_view data) {
  sha256_digest out{};
  SHA256(data.data(), data.size(), out.data());
  return out;
}

} // namespace ron::core::crypto
