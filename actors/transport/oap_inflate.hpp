#pragma once

#include "core/bytes.hpp"
#include "oap/reject.hpp"
#include "transport/inflate.hpp"

#include <cstdint>
#include <expected>
#include <vector>

namespace ron::transport {

/// Inflates the bytes of one DATA or END with COMP (oap-1, 3): they are one zstd frame of exactly
/// `raw_len` bytes. They are given in pieces of 64 KiB, the last one shorter, none of them empty:
/// memory grows with what comes out, at most a piece ahead of it, never by what is declared.
/// Inflation stops at the first byte past `raw_len`, `limits.bytes_max`, 8 MiB or
/// `limits.ratio_max` times `packed.size()`; `limits.body_max` is not looked at. All of `packed`
/// counts for the ratio at once: the outcome does not depend on how the frame was cut on its way.
/// Pure; any thread.
/// Error: `inflate_bound` if a limit is passed, if the bytes are damaged, cut short, followed by
/// others, or fewer than `raw_len` come out.
std::expected<std::vector<core::bytes>, oap::reason>
inflate_frame(core::byte_view packed, std::uint32_t raw_len, const inflate_limits& limits);

} // namespace ron::transport
