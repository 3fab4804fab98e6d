#pragma once

#include "core/ids.hpp"

#include <array>
#include <bit>
#include <cstdint>

namespace ron::storage {

/// For a machine that draws lots: what the system's source gives. Any thread.
inline std::uint64_t random_seed() noexcept {
  std::array<std::uint8_t, sizeof(std::uint64_t)> raw;
  core::random_bytes(raw);
  return std::bit_cast<std::uint64_t>(raw);
}

} // namespace ron::storage
