#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace ron::transport::quic {

/// How far a peer may send ahead of what is read on a connection. As with ngtcp2's own tuning it
/// doubles while its quarters are read faster than two round trips. Unlike there, the peer still
/// hears of it in steps of a quarter of the window at first, however far it has grown: a reader
/// that turns slow would otherwise be silent for as long as it needs for a quarter of the largest
/// one, and look as if it had stopped. One thread.
class receive_window {
public:
  /// Bytes. With `max` <= `first` it never grows.
  receive_window(std::uint64_t first, std::uint64_t max) noexcept : size_(first), max_(max) {}

  std::uint64_t size() const noexcept { return size_; }

  /// True if a quarter is complete with `n` more bytes: `grown` is due then.
  bool read(std::uint64_t n) noexcept {
    quarter_ += n;
    return quarter_ >= size_ / 4 && size_ < max_;
  }

  /// A quarter was read at `now`. Returns by how many bytes the window has grown.
  std::uint64_t grown(std::chrono::nanoseconds now, std::chrono::nanoseconds rtt) noexcept {
    const bool fast = last_ && now - *last_ < 2 * rtt;
    last_ = now;
    quarter_ = 0;
    const auto more = fast ? std::min(size_, max_ - size_) : 0;
    size_ += more;
    return more;
  }

private:
  std::uint64_t size_;
  std::uint64_t max_;
  std::uint64_t quarter_ = 0;                    ///< bytes read of it
  std::optional<std::chrono::nanoseconds> last_; ///< when one was complete
};

} // namespace ron::transport::quic
