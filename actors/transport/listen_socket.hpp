#pragma once

#include "core/config_types.hpp"
#include "core/error.hpp"
#include "transport/unique_fd.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace ron::transport {

/// Set on the listening socket; what it accepts inherits them.
struct socket_options {
  bool nodelay = true;
  std::size_t buffer_bytes = 512u << 10; ///< SO_SNDBUF and SO_RCVBUF; 0 = the kernel's choice
  int backlog = 1'024;
};

/// Sockets that listen on one address: one per shard, among which the kernel spreads connections
/// (SO_REUSEPORT).
struct listen_sockets {
  std::vector<unique_fd> fds;
  core::config::host_port address; ///< with the port that was chosen when 0 was asked for
};

/// Binds `count` sockets to `where` and listens. Errors: conflict (another process, or another
/// part of this one, listens there), bad_request (no such local address), forbidden (a port below
/// 1024), internal.
core::result<listen_sockets> listen_tcp(const core::config::host_port& where, std::size_t count,
                                        const socket_options& options = {});

/// Binds a UNIX socket with mode 0600 and listens. A file that nobody listens on is replaced.
/// Errors: conflict, bad_request.
core::result<unique_fd> listen_unix(const std::string& path);

/// Makes the folder of a socket with mode 0700, if it is not there; its own parent must be. Error:
/// forbidden, if others than its owner may enter it; bad_request.
core::result<void> own_folder_of(const std::string& path);

} // namespace ron::transport
