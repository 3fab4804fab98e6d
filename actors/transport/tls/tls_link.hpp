#pragma once

#include "core/crypto/tls_session.hpp"
#include "transport/handshake_line.hpp"
#include "transport/link.hpp"
#include "transport/unique_fd.hpp"

namespace boost::asio {
class io_context;
} // namespace boost::asio

namespace ron::transport {

/// A link that speaks TLS 1.3 over a connected stream socket; `session` says on which side and
/// with which settings. Ciphertext is read into a buffer that all links of the shard share and
/// decrypted straight into slabs; what is written is gathered into records and sent with one
/// system call per 256 KiB. `io` is that of the owner's shard. With a `line` (of the same shard)
/// the handshake waits for its turn there and is counted.
link_ptr make_tls_link(boost::asio::io_context& io, unique_fd fd, std::string peer,
                       core::crypto::tls_session session, link_owner owner,
                       handshake_line_ptr line = nullptr);

} // namespace ron::transport
