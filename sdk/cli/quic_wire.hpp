#pragma once

#include "ron/wire.hpp"

namespace ron::cli {

/// OAP/1 over QUIC: the wire of `--quic`.
core::result<std::unique_ptr<sdk::wire>> dial_quic(const sdk::client_options& options,
                                                   core::instant deadline);

} // namespace ron::cli
