#include "core/checksum.hpp"

#include <boost/hash2/xxhash.hpp>

namespace ron::core {

std::uint64_t checksum(std::span<const byte_view> pieces) noexcept {
  boost::hash2::xxhash_64 h;
  for (const auto piece : pieces)
    h.update(piece.data(), piece.size());
  return h.result();
}

} // namespace ron::core
