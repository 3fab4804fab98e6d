#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ron::core::crypto {

/// A macaroon with first-party caveats only, in the v2 binary format of libmacaroons, so that
/// other people's tools can mint, attenuate and inspect our tokens
/// (Birgisson et al., "Macaroons: Cookies with Contextual Caveats", NDSS 2014).
///
/// The signature is an HMAC-SHA256 chain: the root key signs the identifier, each signature signs
/// the next caveat. Whoever holds a macaroon can add caveats offline, nobody can take one away.
class macaroon {
public:
  using signature_type = std::array<std::uint8_t, 32>;

  static constexpr std::size_t encoded_bytes_max = 4'096;
  static constexpr std::size_t caveats_max = 32;

  /// Mints a macaroon under `root_key` (any length, secret).
  static macaroon mint(byte_view root_key, std::string identifier);

  /// Parses the v2 binary form. Refuses more than `encoded_bytes_max` bytes or `caveats_max`
  /// caveats, third-party caveats, fields out of order and trailing bytes. Nothing is verified.
  static result<macaroon> decode(byte_view binary);

  /// The v2 binary form. Error: bad_request when it would pass `encoded_bytes_max`.
  result<std::string> encode() const;

  /// Adds a caveat; the chain is extended, no key is needed. Error: bad_request past the bounds.
  result<void> attenuate(std::string caveat);

  /// True if the whole chain was signed from `root_key`. Constant time in the signature.
  bool verify(byte_view root_key) const;

  const std::string& identifier() const noexcept { return identifier_; }
  const std::vector<std::string>& caveats() const noexcept { return caveats_; }

private:
  std::string location_;
  std::string identifier_;
  std::vector<std::string> caveats_;
  signature_type signature_{};
};

} // namespace ron::core::crypto
