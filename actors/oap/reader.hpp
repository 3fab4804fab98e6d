#pragma once

#include "core/bytes.hpp"
#include "oap/frame.hpp"

#include <array>
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
  bool plain = false;                ///< frame: DATA or END without object id, total and COMP
  /// frame, reject of stream scope: length of the frame. need_more: the bytes that the buffer must
  /// hold before asking again makes sense; never trust it for an allocation. Other rejects: 0.
  std::uint32_t len = 0;
};

namespace detail {

/// All checks in their order, for a frame of any kind.
read_result next_checked(core::byte_view in, const reader_limits& limits) noexcept;

/// For each value of `flags`: the status of a DATA or END frame with such flags is below this; 0
/// for flags of another kind, with COMP or against the rules.
consteval std::array<std::uint16_t, 256> make_status_ends() {
  std::array<std::uint16_t, 256> out{};
  for (unsigned flags = 0; flags < out.size(); ++flags) {
    if (flags & (flag::start | flag::comp))
      continue;
    const unsigned direction = flags & (flag::req | flag::resp | flag::event);
    if (direction == flag::req)
      out[flags] = 1;
    else if (direction == flag::resp)
      out[flags] = status_error_min;
    else if (direction == flag::event && !(flags & flag::end))
      out[flags] = code_ext;
  }
  return out;
}
inline constexpr auto status_ends = make_status_ends();

/// The first half of the extension block without object id, total and inflated size.
inline constexpr std::uint64_t plain_block = std::uint64_t{ext_bytes} << 48;

/// Frames of a stream come in one size, so the header after the next ones is likely this far away.
/// Its lines are on their way while these are decided: a scan waits for the second-level cache
/// otherwise. Not outside of the read: the address of a page that nothing has touched yet costs
/// more than the line would bring.
inline void prefetch_ahead(core::byte_view in, std::uint32_t len) noexcept {
  const auto ahead = std::uint64_t{3} * len;
  if (ahead >= in.size())
    return;
  __builtin_prefetch(in.data() + ahead);
  __builtin_prefetch(in.data() + ahead + header_bytes + ext_bytes);
}

} // namespace detail

/// Looks at the first frame of `in`. Pure: no state, no allocation, no copy, no inflation, no
/// hash; the same bytes give the same answer, and asking again after need_more costs nothing else.
///
/// The checks run in this order and the first breach decides: length (as soon as 4 bytes are
/// there), version, flags, capability, kind, corr and extension block. Those of the header are
/// made as soon as its 38 bytes are there, the others when the frame is complete.
/// What a frame means in its connection (HELLO's text, direction, stream, credit, object) is for
/// `session` to decide. Any thread.
///
/// A whole read is scanned in a loop, so what nearly all frames are, complete DATA and END without
/// object id, is decided here in line; whatever fails one of these tests is looked at again.
inline read_result next(core::byte_view in, const reader_limits& limits) noexcept {
  constexpr auto least = header_bytes + ext_bytes;
  if (in.size() >= least) [[likely]] {
    const auto* p = in.data();
    const auto len = load_be<std::uint32_t>(p);
    detail::prefetch_ahead(in, len);
    const auto head = load_be<std::uint64_t>(p + off::ver); // ver, flags, code, app
    const auto flags = static_cast<std::uint8_t>(head >> 32);
    const auto status = static_cast<std::uint16_t>((head >> 16) ^ code_ext);
    // What is the same in all of them, in one test.
    const auto other = ((head >> 40) ^ (std::uint64_t{wire_version} << 8))
                       | load_be<std::uint16_t>(p + off::cap_len)
                       | (load_be<std::uint64_t>(p + header_bytes) ^ detail::plain_block);
    const bool plain = other == 0 && status < detail::status_ends[flags]
                       && static_cast<std::uint16_t>(head) != 0
                       && load_be<corr_t>(p + off::corr) != 0;
    if (plain && len >= least && len <= limits.max_frame) [[likely]] {
      const auto k = flags & flag::end ? kind::end : kind::data;
      if (len <= in.size())
        return {read_status::frame, k, reason::none, true, len};
      return {read_status::need_more, kind::hello, reason::none, false, len};
    }
  }
  return detail::next_checked(in, limits);
}

/// The view of the frame that `next` returned for the same bytes.
inline frame_view view_of(core::byte_view in, const read_result& r) noexcept {
  return {in.data(), r.len, r.kind, r.plain};
}

} // namespace ron::oap
