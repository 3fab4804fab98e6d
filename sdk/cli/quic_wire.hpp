#pragma once

#include "ron/wire.hpp"

namespace ron::cli {

/// OAP/1 over QUIC: the wire of `--quic`. All copies of one dialer remember what the node they
/// dialed last gave them (a ticket and a token, in memory), so that the next connection costs no
/// certificate. Any thread.
sdk::dialer quic_dialer();

} // namespace ron::cli
