#pragma once

#include <zstd.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace ron::test {

/// `n` bytes of text that pack to about a fifth.
inline std::string packable_text(std::size_t n) {
  std::string out;
  out.reserve(n + 16);
  std::uint32_t x = 1;
  while (out.size() < n) {
    x = x * 1664525 + 1013904223;
    out += "word" + std::to_string(x >> 24) + ' ';
  }
  out.resize(n);
  return out;
}

/// One zstd frame.
inline std::string zstd_frame(std::string_view text, int level = 3) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), level));
  return out;
}

} // namespace ron::test
