#pragma once

#include "oap/frame.hpp"
#include "oap/reject.hpp"

#include <array>
#include <cstdint>

namespace ron::oap {

/// What a session counted since it began. The owner reads it and exports differences.
struct counters {
  std::array<std::uint64_t, kind_count> frames_in{};  ///< by kind, all that the reader passed
  std::array<std::uint64_t, kind_count> frames_out{};
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;       ///< handed out by `take`
  std::uint64_t bytes_copied = 0;    ///< of `bytes_in`: copied to join a straddling frame
  std::uint64_t bytes_discarded = 0; ///< arrived after the end
  reject_counts rejects{};           ///< by bucket
  std::uint64_t streams = 0;         ///< accepted or opened
  std::uint64_t starts_refused = 0;  ///< ERROR 0x112 or 0x1f1
  std::uint64_t late_frames = 0;     ///< dropped on streams that we ended by ERROR
  std::uint64_t window_stalls = 0;   ///< `send` refused: the peer's window was used up
  std::uint64_t inflight_stalls = 0; ///< `send` refused: the connection's share was used up
  std::uint64_t output_stalls = 0;   ///< `send` refused: the link was behind
};

} // namespace ron::oap
