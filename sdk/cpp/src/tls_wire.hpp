#pragma once

#include "ron/wire.hpp"

namespace ron::sdk {

/// OAP/1 over TLS 1.3 over TCP: the wire of a client that was given no other.
core::result<std::unique_ptr<wire>> dial_tls(const client_options& options, core::instant deadline);

} // namespace ron::sdk
