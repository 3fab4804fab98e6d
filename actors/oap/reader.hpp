#pragma once

#include "core/bytes.hpp"
#include "oap/frame.hpp"

#include <cstdint>

namespace ron::oap {

/// What the reader holds a frame against. A connection changes it when HELLO was read.
struct reader_limits {
  std::uint32_t max_frame = core::limits::oap_frame_bytes_law; ///< 38 .. 1 MiB, header included
  std::uint32_t max_cap = core::limits::oap_cap_bytes_max;     ///< bytes of a capability
  bool x1 = false;  ///< extension blocks are mandatory on START, DATA, END and stream ERROR
  bool zstd = true; ///< COMP is allowed
};

enum class read_status : std::uint8_t { frame, need_more, reject };

/// One step of the reader.
struct read_result {
  read_status is = read_status::need_more;
  oap::kind kind = oap::kind::hello; ///< of a frame, and of a reject that knew it
  oap::reason why = reason::none;    ///< of a reject
  /// frame, reject of stream scope: length of the frame. need_more: the bytes that the buffer must
  /// hold before asking again makes sense; never trust it for an allocation. Other rejects: 0.
  std::uint32_t len = 0;
};

/// Looks at the first frame of `in`. Pure: no state, no allocation, no copy, no inflation, no
/// hash; the same bytes give the same answer, and asking again after need_more costs nothing else.
///
/// The checks run in this order and the first breach decides: length (as soon as 4 bytes are
/// there), version, flags, capability, kind, corr and extension block. Those of the header are
/// made as soon as its 38 bytes are there, the others when the frame is complete.
/// What a frame means in its connection (HELLO's text, direction, stream, credit, object) is for
/// `session` to decide. Any thread.
read_result next(core::byte_view in, const reader_limits& limits) noexcept;

/// The view of the frame that `next` returned for the same bytes.
inline frame_view view_of(core::byte_view in, const read_result& r) noexcept {
  return {in.data(), r.len, r.kind};
}

} // namespace ron::oap
