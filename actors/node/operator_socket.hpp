#pragma once

#include "core/actor/actor.hpp"

#include <boost/asio/local/stream_protocol.hpp>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace ron::node {

/// First contact without a file: an abstract UNIX socket `@ron-<admin port>`. A process of the
/// same user that connects gets one JSON line `{"cert_sha256","token"}` and the close; everybody
/// else gets the close. The kernel says who connected (SO_PEERCRED), nobody is believed.
struct operator_socket_state {
  static constexpr const char* name = "node.operator";
  std::optional<boost::asio::local::stream_protocol::acceptor> acceptor;
  std::function<std::string()> line; ///< makes the answer, with a fresh token
};

using operator_socket_self = core::dynamic_self<operator_socket_state>;

/// Opens the socket of a node whose admin listener has `admin_port`. Errors: conflict when another
/// node has it. Call on any thread before the actor is spawned.
core::result<int> open_operator_socket(std::uint16_t admin_port);

/// Serves the socket `fd` until it is told to exit. `line` gives the answer without a line end.
caf::behavior make_operator_socket(operator_socket_self self, int fd,
                                   std::function<std::string()> line);

} // namespace ron::node
