#pragma once

#include "core/bytes.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace ron::transport::quic {

/// What one stream sends: slices that stay until the peer has acknowledged them, because a lost
/// packet is written again from here. Bounded by its owner: unsent bytes by the backlog that the
/// session looks at, sent ones by the congestion window.
class send_queue {
public:
  void push(core::bytes slice);
  /// Describes bytes that were not sent yet, from the first one on; the number of entries used.
  std::size_t gather(std::span<iovec> out) const noexcept;
  /// `n` of them went out for the first time.
  void sent(std::size_t n) noexcept;
  /// Everything below `offset` of the stream arrived.
  void acknowledged(std::uint64_t offset) noexcept;
  /// Nothing was sent, after all; the number of bytes that go again. Only while none of them were
  /// acknowledged.
  std::size_t rewind() noexcept;
  /// Forgets what was not sent; the number of bytes.
  std::size_t drop_unsent() noexcept;

  std::size_t unsent() const noexcept { return static_cast<std::size_t>(end_ - next_); }
  /// Bytes held, sent or not.
  std::size_t held() const noexcept { return static_cast<std::size_t>(end_ - base_); }

private:
  std::span<const core::bytes> live() const noexcept { return std::span{slices_}.subspan(first_); }

  std::vector<core::bytes> slices_; ///< most streams have one: a deque's blocks would be larger
  std::size_t first_ = 0;           ///< slices before it are acknowledged and empty
  std::uint64_t base_ = 0;          ///< stream offset of the first slice's first byte
  std::uint64_t next_ = 0;          ///< of the first unsent byte
  std::uint64_t end_ = 0;
  std::size_t at_ = 0;        ///< the slice of `live` with the first unsent byte
  std::uint64_t at_base_ = 0; ///< stream offset of that slice
};

} // namespace ron::transport::quic
