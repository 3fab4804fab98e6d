#pragma once

#include "transport/quic/address.hpp"

#include <array>
#include <cstdint>
#include <memory>

namespace ron::transport::quic {

/// The token by which a peer knows a stateless reset for the real thing (RFC 9000, 10.3).
using reset_token = std::array<std::uint8_t, 16>;

/// Keys that live as long as the process: of stateless reset tokens and of address validation
/// tokens. Shared by the shards, so that each can answer for a connection of another. Any thread.
class secrets {
public:
  secrets();
  ~secrets();
  secrets(const secrets&) = delete;
  secrets& operator=(const secrets&) = delete;

  reset_token reset_token_of(const connection_id& id) const;
  const std::array<std::uint8_t, 32>& token_key() const noexcept { return token_key_; }

private:
  std::array<std::uint8_t, 32> reset_key_{};
  std::array<std::uint8_t, 32> token_key_{};
};

using secrets_ptr = std::shared_ptr<const secrets>;

} // namespace ron::transport::quic
