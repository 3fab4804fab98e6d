#include "transport/listen_socket.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>
#include <system_error>

namespace ron::transport {

namespace {

std::unexpected<core::error> os_fail(const std::string& where, const char* what, int number) {
  auto code = core::ec::internal;
  switch (number) {
    case EADDRINUSE: code = core::ec::conflict; break;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT: code = core::ec::bad_request; break;
    case EACCES:
    case EPERM: code = core::ec::forbidden; break;
    default: break;
  }
  return core::fail(code, where + ": " + what + ": " + std::system_category().message(number));
}

bool set_option(int fd, int level, int name, int value) {
  return ::setsockopt(fd, level, name, &value, sizeof value) == 0;
}

using address_list = std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)>;

core::result<address_list> look_up(const core::config::host_port& where) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  int rc = ::getaddrinfo(where.host.c_str(), std::to_string(where.port).c_str(), &hints, &found);
  if (rc != 0)
    return core::fail(core::ec::bad_request, where.to_string() + ": " + ::gai_strerror(rc));
  return address_list{found, &::freeaddrinfo};
}

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t n = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &n);
  std::uint16_t port = 0; // at the same place for both families
  std::memcpy(&port, reinterpret_cast<const char*>(&address) + offsetof(sockaddr_in, sin_port),
              sizeof port);
  return ntohs(port);
}

/// One bound socket. The first one binds without SO_REUSEPORT, or a socket of another process that
/// has it would silently share the port; it gets the option afterwards, for its siblings.
core::result<unique_fd> bind_one(const addrinfo& address, bool first,
                                 const socket_options& options, const std::string& where) {
  unique_fd fd{::socket(address.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd)
    return os_fail(where, "socket", errno);
  set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (address.ai_family == AF_INET6)
    set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1);
  if (options.nodelay)
    set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  if (options.buffer_bytes > 0) {
    set_option(fd.get(), SOL_SOCKET, SO_SNDBUF, static_cast<int>(options.buffer_bytes));
    set_option(fd.get(), SOL_SOCKET, SO_RCVBUF, static_cast<int>(options.buffer_bytes));
  }
  if (!first && !set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1))
    return os_fail(where, "SO_REUSEPORT", errno);
  if (::bind(fd.get(), address.ai_addr, address.ai_addrlen) != 0)
    return os_fail(where, "bind", errno);
  if (first && !set_option(fd.get(), SOL_SOCKET, SO_REUSEPORT, 1))
    return os_fail(where, "SO_REUSEPORT", errno);
  return fd;
}

} // namespace

core::result<listen_sockets> listen_tcp(const core::config::host_port& where, std::size_t count,
                                        const socket_options& options) {
  listen_sockets out{{}, where};
  for (std::size_t i = 0; i < count; ++i) {
    auto addresses = look_up(out.address);
    if (!addresses)
      return std::unexpected{addresses.error()};
    auto fd = bind_one(**addresses, i == 0, options, out.address.to_string());
    if (!fd)
      return std::unexpected{fd.error()};
    out.address.port = port_of(fd->get());
    out.fds.push_back(std::move(*fd));
  }
  for (auto& fd : out.fds)
    if (::listen(fd.get(), options.backlog) != 0)
      return os_fail(out.address.to_string(), "listen", errno);
  return out;
}

core::result<unique_fd> listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof address.sun_path)
    return core::fail(core::ec::bad_request, path + ": a socket's path has 1 to 107 bytes");
  std::memcpy(address.sun_path, path.data(), path.size());
  auto* generic = reinterpret_cast<const sockaddr*>(&address);
  unique_fd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (!fd)
    return os_fail(path, "socket", errno);
  unique_fd probe{::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
  if (::connect(probe.get(), generic, sizeof address) == 0 || errno == EAGAIN)
    return os_fail(path, "bind", EADDRINUSE);
  struct stat what{};
  if (::lstat(path.c_str(), &what) == 0 && S_ISSOCK(what.st_mode))
    ::unlink(path.c_str()); // left behind by a process that is gone
  auto mask = ::umask(0177);
  auto rc = ::bind(fd.get(), generic, sizeof address);
  auto number = errno;
  ::umask(mask);
  if (rc != 0)
    return os_fail(path, "bind", number);
  if (::listen(fd.get(), 128) != 0)
    return os_fail(path, "listen", errno);
  return fd;
}

core::result<void> own_folder_of(const std::string& path) {
  auto folder = std::filesystem::path{path}.parent_path().string();
  if (folder.empty())
    folder = ".";
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return os_fail(folder, "mkdir", errno);
  struct stat what{};
  if (::stat(folder.c_str(), &what) != 0)
    return os_fail(folder, "stat", errno);
  if ((what.st_mode & 0077) != 0)
    return core::fail(core::ec::forbidden,
                      folder + ": others than its owner may enter this folder; chmod 0700");
  return {};
}

} // namespace ron::transport
