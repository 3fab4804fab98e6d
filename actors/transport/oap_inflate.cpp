#include "transport/oap_inflate.hpp"

#include "core/limits.hpp"

#include <algorithm>

namespace ron::transport {

namespace {

constexpr std::size_t piece_bytes = core::limits::chunk_bytes;

/// Fills `piece` up to `want` bytes; false if something is wrong with them.
bool fill(core::slab& piece, std::size_t want, inflate_guard& guard) {
  while (piece.filled() < want) {
    auto n = guard.next(piece.room().first(want - piece.filled()));
    if (!n)
      return false;
    if (*n == 0)
      break;
    piece.commit(*n);
  }
  return true;
}

} // namespace

std::expected<std::vector<core::bytes>, oap::reason>
inflate_frame(core::byte_view packed, std::uint32_t raw_len, const inflate_limits& limits) {
  const std::unexpected breach{oap::reason::inflate_bound};
  auto bounds = limits;
  bounds.bytes_max = std::min<std::uint64_t>(limits.bytes_max, core::limits::oap_inflate_bytes_max);
  bounds.body_max = raw_len;
  if (raw_len > bounds.bytes_max)
    return breach;
  inflate_guard guard{coding::zstd, bounds};
  guard.give(packed);
  std::vector<core::bytes> pieces;
  for (std::size_t left = raw_len; left > 0;) {
    // The last piece has room for one byte too many, which is how too many are noticed, and zstd
    // writes a frame that fits at once without a window of its own.
    const auto n = std::min(left, piece_bytes);
    core::slab piece{n + 1};
    if (!fill(piece, left > n ? n : n + 1, guard) || piece.filled() != n)
      return breach;
    pieces.push_back(piece.cut(0, n));
    left -= n;
  }
  if (raw_len == 0 || !guard.finish())
    return breach;
  return pieces;
}

} // namespace ron::transport
