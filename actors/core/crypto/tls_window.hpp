#pragma once

#include "core/bytes.hpp"
#include "core/crypto/openssl.hpp"

#include <cstddef>
#include <vector>

namespace ron::core::crypto {

/// The two ends of OpenSSL's view of the network: a window over ciphertext that the caller owns,
/// and a queue of slabs that records are written to. One thread at a time.
struct tls_window {
  /// One slab takes at most this much: what one system call sends best.
  static constexpr std::size_t slab_bytes_max = 256u << 10;
  static constexpr std::size_t slab_bytes_min = 2u << 10;

  byte_view input;              ///< ciphertext that was not read yet; valid during one `feed`
  std::size_t expected = 0;     ///< ciphertext about to be written; sizes the next slab
  std::size_t output_bytes = 0; ///< ciphertext waiting in `ready` and `current`

  /// Takes up to `n` bytes of the input.
  std::size_t read(char* to, std::size_t n) noexcept;
  /// Queues ciphertext.
  void write(const char* from, std::size_t n);
  /// Appends everything that waits to `out`.
  void take(std::vector<bytes>& out);

private:
  void cut_current(std::vector<bytes>& out);

  std::vector<bytes> ready_;
  slab current_;
  std::size_t cut_ = 0; // bytes of `current_` that were handed out
};

/// A BIO over `window`, which must stay where it is while the BIO lives.
bio_ptr make_window_bio(tls_window* window);

} // namespace ron::core::crypto
