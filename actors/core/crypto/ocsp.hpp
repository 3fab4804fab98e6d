#pragma once

#include "core/crypto/identity.hpp"
#include "core/error.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace ron::core::crypto {

/// What an authority said about a certificate (RFC 6960), to be stapled to handshakes (RFC 6066,
/// section 8). Immutable, shared by the contexts of all shards; any thread.
struct ocsp_staple {
  std::string der;                ///< as it is sent
  std::int64_t next_update_s = 0; ///< Unix time from which it is stale; 0: the authority named none

  /// True if it says nothing any more at `now_s`, Unix time.
  bool stale_at(std::int64_t now_s) const noexcept {
    return next_update_s != 0 && now_s >= next_update_s;
  }

  /// Longest response that is taken.
  static constexpr std::size_t bytes_max = 64u << 10; // usual ones have 0.5 to 2 KiB

  /// Reads a response in DER. Error: bad_request naming `where` it is from and what is wrong: no
  /// successful response, not about the leaf of `about`, or not "good". A stale one is none: the
  /// caller warns, and it is not sent. Its signature is for clients to look at.
  static result<std::shared_ptr<const ocsp_staple>> read(std::string der, const identity& about,
                                                         const std::string& where);
  /// The same of a file, of at most `bytes_max`. Error also: unreadable.
  static result<std::shared_ptr<const ocsp_staple>> load(const std::string& file,
                                                         const identity& about);
};

using ocsp_staple_ptr = std::shared_ptr<const ocsp_staple>;

} // namespace ron::core::crypto
