#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace ron::transport {

/// Content codings of request bodies (RFC 9110, 8.4).
enum class coding : std::uint8_t { identity, gzip, deflate, zstd };

/// What inflation may cost; keys `inflate.ratio-max` and `inflate.bytes-max`.
struct inflate_limits {
  std::uint64_t ratio_max = 10;          ///< output bytes per input byte, at any moment
  std::uint64_t bytes_max = 8u << 20;    ///< output bytes
  std::uint64_t body_max = 1u << 20;     ///< output bytes that the route takes
};

/// The coding that a Content-Encoding value names; identity when it is empty.
/// Error: unsupported_coding for an unknown one and for more than one.
core::result<coding> parse_coding(std::string_view content_encoding);

/// Inflates a body as it arrives, in steps of at most 64 KiB, and stops at the first byte past a
/// limit: a bomb costs no more work and memory than its cap. The window of zstd is bounded to
/// 8 MiB. One thread.
class inflate_guard {
public:
  inflate_guard(coding c, const inflate_limits& limits);
  ~inflate_guard();
  inflate_guard(const inflate_guard&) = delete;
  inflate_guard& operator=(const inflate_guard&) = delete;

  /// Appends what `in` inflates to. Errors: ratio_cap, decompress_cap, body_cap (whichever is
  /// passed first), bad_request for damaged data or bytes after its end. Final after an error.
  core::result<void> feed(core::byte_view in, std::string& out);
  /// The same without a buffer between, not for identity: `give` lends the input, which has to stay
  /// where it is, and `next` puts some of what comes out into `out`, which is not empty, until it
  /// gives 0. Errors of `next`: those of `feed`.
  void give(core::byte_view in) noexcept;
  core::result<std::size_t> next(std::span<std::uint8_t> out);
  /// The input is complete. Error: bad_request when it is cut short.
  core::result<void> finish();

private:
  struct state;
  /// What the next step may produce: up to one byte more than what is allowed, to see it passed.
  std::size_t room() const noexcept;
  core::result<void> count(std::size_t produced);
  core::result<std::size_t> step_zlib(std::span<std::uint8_t> out);
  core::result<std::size_t> step_zstd(std::span<std::uint8_t> out);

  coding coding_;
  inflate_limits limits_;
  std::uint64_t in_ = 0;
  std::uint64_t out_ = 0;
  core::byte_view rest_;  ///< of the input
  bool full_ = false;     ///< the last step filled its room: there may be more without input
  bool ended_ = false;
  std::unique_ptr<state> state_;
  std::unique_ptr<std::uint8_t[]> buffer_; ///< of `feed`
};

} // namespace ron::transport
