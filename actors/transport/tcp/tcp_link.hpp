#pragma once

#include "transport/link.hpp"
#include "transport/unique_fd.hpp"

namespace boost::asio {
class io_context;
} // namespace boost::asio

namespace ron::transport {

/// A link over a connected stream socket (TCP or UNIX) without encryption. `io` is that of the
/// owner's shard.
link_ptr make_tcp_link(boost::asio::io_context& io, unique_fd fd, std::string peer,
                       link_owner owner);

} // namespace ron::transport
