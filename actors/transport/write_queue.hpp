#pragma once

#include "core/bytes.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <span>
#include <vector>

namespace ron::transport {

/// Slices that wait for the kernel, in order. Unbounded by itself: the owner of the link looks at
/// `bytes` before it writes. One thread.
class write_queue {
public:
  /// What one system call is given at most. More is slower: it falls out of the cache.
  static constexpr std::size_t gather_bytes_max = 256u << 10;
  static constexpr std::size_t gather_slices_max = 64;

  /// Appends `slices` and leaves them empty.
  void push(std::vector<core::bytes>& slices);
  /// Describes the front of the queue, up to both maxima; the number of entries used.
  std::size_t gather(std::span<iovec> out) const noexcept;
  /// The kernel took `n` bytes, n <= bytes().
  void consume(std::size_t n) noexcept;
  void clear() noexcept;

  std::size_t bytes() const noexcept { return bytes_; }
  bool empty() const noexcept { return bytes_ == 0; }

private:
  std::vector<core::bytes> slices_; // those before `head_` are gone
  std::size_t head_ = 0;
  std::size_t bytes_ = 0;
};

} // namespace ron::transport
