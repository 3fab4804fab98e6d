#include "transport/quic/secrets.hpp"

#include "core/crypto/secure_wipe.hpp"
#include "core/ids.hpp"
#include "transport/quic/ngtcp2_types.hpp"

#include <ngtcp2/ngtcp2_crypto.h>

namespace ron::transport::quic {

secrets::secrets() {
  core::random_bytes(reset_key_);
  core::random_bytes(token_key_);
}

secrets::~secrets() {
  core::crypto::secure_wipe(reset_key_);
  core::crypto::secure_wipe(token_key_);
}

reset_token secrets::reset_token_of(const connection_id& id) const {
  reset_token out{};
  const auto native = to_native(id);
  ngtcp2_crypto_generate_stateless_reset_token(out.data(), reset_key_.data(), reset_key_.size(),
                                               &native);
  return out;
}

} // namespace ron::transport::quic
