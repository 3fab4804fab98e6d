#include "transport/oap_inflate.hpp"

#include "core/limits.hpp"

#include <algorithm>
#include <string>

namespace ron::transport {

std::expected<core::bytes, oap::reason> inflate_frame(core::byte_view packed, std::uint32_t raw_len,
                                                      const inflate_limits& limits) {
  const std::unexpected breach{oap::reason::inflate_bound};
  auto bounds = limits;
  bounds.bytes_max = std::min<std::uint64_t>(limits.bytes_max, core::limits::oap_inflate_bytes_max);
  bounds.body_max = raw_len;
  if (raw_len > bounds.bytes_max)
    return breach;
  inflate_guard guard{coding::zstd, bounds};
  std::string raw;
  if (!guard.feed(packed, raw) || !guard.finish() || raw.size() != raw_len)
    return breach;
  return core::bytes::copy(raw);
}

} // namespace ron::transport
