#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ron::transport {

/// Why a connection ended; metric label.
enum class ending : std::uint8_t {
  clean,   ///< the peer closed it in good order, or a drain finished
  reject,  ///< the peer broke the protocol
  broken,  ///< reset, truncated, TLS failed
  timeout, ///< a deadline passed
  cut,     ///< we stopped it
};
inline constexpr std::size_t ending_count = 5;
std::string_view to_string(ending e) noexcept;

} // namespace ron::transport
