#pragma once

#include "core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ron::transport::tor {

/// Why Tor did not do what was asked of it; a closed set, metric label.
enum class trouble : std::uint8_t {
  no_daemon, ///< nobody listens at the SOCKS or control port
  lost,      ///< the daemon closed the connection
  silent,    ///< no answer in time
  protocol,  ///< an answer that breaks the protocol: something else listens there
  auth,      ///< the control port does not let us in, or does not know the cookie it names
  bootstrap, ///< the daemon did not find its network in time
  publish,   ///< the onion service was refused or its descriptor did not get out
  // What a SOCKS server answers (RFC 1928, section 6).
  failed,                ///< 01: of a Tor daemon: it has no circuits (yet), or see its log
  not_allowed,           ///< 02
  network_unreachable,   ///< 03
  host_unreachable,      ///< 04
  refused,               ///< 05: reached, but nobody listens on that port
  ttl_expired,           ///< 06: of a Tor daemon: timed out
  command_not_supported, ///< 07
  address_not_supported, ///< 08
  // Tor's own answers about onion services (its proposal 304, with ExtendedErrors on the port).
  onion_not_found,     ///< F0: no descriptor: never published, or gone
  onion_invalid,       ///< F1: the descriptor is not valid
  onion_intro_failed,  ///< F2: no introduction point took us: the service has just gone
  onion_rend_failed,   ///< F3: the rendezvous failed
  onion_auth_missing,  ///< F4: the service wants a client key
  onion_auth_wrong,    ///< F5: it wants another one
  onion_bad_address,   ///< F6: no such address can exist
  onion_intro_timeout, ///< F7: the introduction timed out
};
inline constexpr std::size_t trouble_count =
  static_cast<std::size_t>(trouble::onion_intro_timeout) + 1;

/// The label, as it stands in metrics and messages.
std::string_view to_string(trouble t) noexcept;
/// One half sentence for people, with what to do where something can be done.
std::string_view advice(trouble t) noexcept;

/// `TorUnavailable`: the one error of everything that needs Tor.
struct unavailable {
  trouble why = trouble::lost;
  std::string detail; ///< where, and what the peer said (printable, short); no secrets

  bool operator==(const unavailable&) const = default;
};

/// The same for those who know nothing of Tor: `ec::tor_unavailable` with all of it in words.
core::error to_error(const unavailable& u);

/// `text` of a peer, fit for logs: printable ASCII, at most 160 bytes.
std::string printable(std::string_view text);

} // namespace ron::transport::tor
