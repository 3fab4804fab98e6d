#pragma once

#include "core/bytes.hpp"

#include <functional>
#include <string_view>
#include <vector>

namespace ron::transport::tor {

inline core::byte_view view_of(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

/// Calls `f` with every way to cut `text` into two, and with its single bytes: `f(pieces)`.
inline void for_every_split(std::string_view text,
                            const std::function<void(const std::vector<std::string_view>&)>& f) {
  for (std::size_t i = 0; i <= text.size(); ++i)
    f({text.substr(0, i), text.substr(i)});
  std::vector<std::string_view> bytes;
  for (std::size_t i = 0; i < text.size(); ++i)
    bytes.push_back(text.substr(i, 1));
  f(bytes);
}

} // namespace ron::transport::tor
