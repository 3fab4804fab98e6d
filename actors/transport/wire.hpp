#pragma once

#include <cstdint>

namespace ron::transport {

/// Which wire a request came on; decides trust, never meaning. `oap_tor`: through the onion
/// service, from peers that have no address (trust class `tor`).
enum class wire : std::uint8_t { http, https, oap_tls, oap_quic, oap_tor };

/// True if requests come as OAP frames, whatever carries them.
constexpr bool is_oap(wire w) noexcept {
  return w >= wire::oap_tls;
}

} // namespace ron::transport
