#pragma once

#include "transport/link.hpp"
#include "transport/unique_fd.hpp"

#include <cstdint>
#include <string>

namespace boost::asio {
class io_context;
} // namespace boost::asio

namespace ron::transport {

/// Who speaks first on a connection.
enum class first_word : std::uint8_t {
  anybody,
  /// What the owner writes waits until the peer has said something. For connections through Tor:
  /// bytes that follow right behind the relays' own word that the stream is open wait there, at
  /// each hop that has Nagle's algorithm, for a delayed acknowledgement, 40 ms.
  peer,
};

/// A link over a connected stream socket (TCP or UNIX) without encryption. `io` is that of the
/// owner's shard.
link_ptr make_tcp_link(boost::asio::io_context& io, unique_fd fd, std::string peer,
                       link_owner owner, first_word first = first_word::anybody);

} // namespace ron::transport
