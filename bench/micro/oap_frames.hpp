#pragma once

#include "oap/frame.hpp"
#include "oap/writer.hpp"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

/// Bytes for the benchmarks of OAP/1.
namespace ron::bench {

inline constexpr std::size_t data_head_bytes = oap::header_bytes + oap::ext_bytes;

/// What `w` wrote, in one piece.
inline std::vector<std::uint8_t> joined(oap::writer& w) {
  std::vector<core::bytes> slices;
  w.take(slices);
  std::vector<std::uint8_t> out;
  for (const auto& b : slices)
    out.insert(out.end(), b.view().begin(), b.view().end());
  return out;
}

inline core::bytes payload_of(std::size_t size) {
  return core::bytes::copy(std::string(size, 'x'));
}

/// As many as fit into `total` bytes, one at least.
inline std::size_t frames_in(std::size_t total, std::size_t size) {
  return std::max<std::size_t>(1, total / (size + data_head_bytes));
}

/// `count` DATA frames of the opener with `size` bytes each.
inline std::vector<std::uint8_t> data_frames(std::size_t size, std::size_t count) {
  oap::writer w;
  auto payload = payload_of(size);
  for (std::size_t i = 1; i <= count; ++i)
    w.data({.corr = 1, .app = 1, .flags = oap::flag::req, .seq = i}, payload);
  return joined(w);
}

} // namespace ron::bench
