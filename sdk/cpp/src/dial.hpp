#pragma once

#include "core/clock.hpp"
#include "core/error.hpp"

#include <string>

namespace ron::sdk {

struct client_options;

/// A connected, non-blocking TCP socket to the node, through the tor daemon at `socks` if that is
/// set. The caller closes it. Errors: degraded, TorUnavailable as `tor::to_error` has it,
/// bad_request (an onion address without `socks`).
core::result<int> dial_tcp(const client_options& options, core::instant deadline);

/// An onion service: Tor encrypts, and the address is the node's key.
bool is_onion(const client_options& options);

/// "host:port", for errors.
std::string where(const client_options& options);

/// What is left until `deadline`, for poll(2): milliseconds, rounded up, at most a minute.
int poll_ms(core::instant deadline);

} // namespace ron::sdk
