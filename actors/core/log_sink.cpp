#include "core/log_sink.hpp"

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ron::core::log {

line_sink::line_sink(int fd) : fd_(fd), terminal_(::isatty(fd) == 1) {
  struct stat st {};
  if (::fstat(fd, &st) != 0)
    return;
  if (S_ISSOCK(st.st_mode)) {
    kind_ = kind::socket;
  } else if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode)) {
    auto path = "/proc/self/fd/" + std::to_string(fd);
    int own = ::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    kind_ = own >= 0 ? kind::own_nonblocking : kind::polled;
    if (own >= 0)
      fd_ = own;
  }
}

line_sink::~line_sink() {
  if (kind_ == kind::own_nonblocking)
    ::close(fd_);
}

std::int64_t line_sink::put(std::string_view text) noexcept {
  if (kind_ == kind::polled) {
    pollfd p{fd_, POLLOUT, 0};
    if (::poll(&p, 1, 0) != 1 || (p.revents & POLLOUT) == 0)
      return 0;
    text = text.substr(0, 4'096); // a pipe that is ready has room for that
  }
  for (;;) {
    auto n = kind_ == kind::socket
               ? ::send(fd_, text.data(), text.size(), MSG_DONTWAIT | MSG_NOSIGNAL)
               : ::write(fd_, text.data(), text.size());
    if (n >= 0)
      return n;
    if (errno != EINTR)
      return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -1;
  }
}

bool line_sink::write(std::string_view line) {
  std::lock_guard guard{mutex_};
  if (!tail_.empty()) {
    auto n = put(tail_);
    if (n > 0)
      tail_.erase(0, static_cast<std::size_t>(n));
    if (!tail_.empty()) {
      dropped_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
  }
  auto n = put(line);
  if (n <= 0) {
    dropped_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  tail_.assign(line.substr(static_cast<std::size_t>(n)));
  return true;
}

} // namespace ron::core::log
