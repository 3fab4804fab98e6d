#pragma once

#include "core/bytes.hpp"
#include "core/limits.hpp"
#include "oap/frame.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace ron::oap {

/// What goes into START beside its extension block's fixed parts.
struct start_frame {
  corr_t corr = 0;
  std::uint16_t app = 0;
  core::tenant tenant{};
  std::uint16_t flags = 0;        ///< END, ACK_REQ, APP_E2E; REQ and START are added
  bool ext = true;                ///< false for a peer without x1: no window, seq, name
  bool objects = false;
  bool reply_objects = false;
  std::uint32_t window = 1;
  std::uint64_t seq_start = 0;
  core::byte_view cap{};            ///< <= 4,096 bytes
  std::string_view name{};          ///< <= 255 bytes of UTF-8
  core::byte_view args{};
};

/// DATA, or END with or without bytes.
struct data_frame {
  corr_t corr = 0;
  std::uint16_t app = 0;
  core::tenant tenant{};
  std::uint16_t flags = 0;        ///< one direction; END, ACK_REQ, COMP, APP_E2E may join
  std::uint16_t status = 0;       ///< below 400; 0 for REQ
  bool ext = true;
  std::uint32_t raw_len = 0;      ///< non-zero iff COMP
  std::uint64_t seq = 0;
  const core::cid* obj = nullptr; ///< null = no object id
  const std::uint64_t* total = nullptr;
};

struct error_frame {
  corr_t corr = 0;                ///< 0 = the connection
  std::uint16_t app = 0;          ///< 0 = the connection
  core::tenant tenant{};
  std::uint16_t status = 500;     ///< 400 and more
  bool ext = true;                ///< false: `message` is the JSON error object, any length
  reason why = reason::none;
  std::uint32_t retry_after_ms = 0; ///< 0 = not said
  std::uint64_t last_seq = 0;
  std::string_view message{};       ///< clipped to 1,024 bytes of whole UTF-8 sequences
};

/// Encodes frames and keeps them until the link asks. Small frames and small payloads share
/// buffers of up to a bound; a payload of `scatter_min` bytes and more is not copied but queued as
/// a slice of its own between two pieces of buffer.
///
/// Unbounded by itself: `session` refuses DATA while `pending_bytes` is above its limit and stops
/// reading when answers pile up. One thread.
class writer {
public:
  /// Copying this much costs about as much as one more slice.
  static constexpr std::size_t scatter_min = 8'192;
  static constexpr std::size_t block_min = 4'096;

  /// Small frames share buffers that grow up to this many bytes, `block_min` or more.
  void set_block_max(std::size_t bytes) noexcept { block_max_ = std::max(bytes, block_min); }

  void hello(bool dialer, std::string_view json);
  void start(const start_frame& f);
  /// DATA or END. `payload` is what follows the extension block.
  void data(const data_frame& f, const core::bytes& payload);
  void ack(corr_t corr, std::uint64_t up_to, std::uint32_t window);
  void error(const error_frame& f);

  /// Moves everything that is queued to the end of `out`, in wire order. False if nothing was.
  bool take(std::vector<core::bytes>& out);
  /// Bytes queued since the last `take`.
  std::size_t pending_bytes() const noexcept { return pending_; }
  std::size_t memory_bytes() const noexcept {
    return block_.capacity() + queue_.capacity() * sizeof(core::bytes) + pending_;
  }
  /// Frees the spare buffer; call when the connection is idle.
  void trim() noexcept;

  /// Frames written so far, by kind.
  const std::array<std::uint64_t, kind_count>& frames() const noexcept { return frames_; }

private:
  struct head;
  std::uint8_t* begin(const head& h);
  std::uint8_t* reserve(std::size_t n);
  void cut();

  core::slab block_;            ///< being filled
  std::size_t cut_ = 0;         ///< what of it was queued already
  std::vector<core::bytes> queue_{};
  std::size_t pending_ = 0;
  std::size_t block_max_ = core::limits::write_coalesce_bytes;
  std::size_t next_block_ = block_min;
  std::array<std::uint64_t, kind_count> frames_{};
};

} // namespace ron::oap
