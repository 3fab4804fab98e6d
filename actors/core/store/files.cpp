#include "core/store/files.hpp"

#include <cerrno>

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

namespace ron::core::store {

int sync_path(const std::string& path) noexcept {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return errno;
  const int rc = ::fsync(fd) == 0 ? 0 : errno;
  ::close(fd);
  return rc;
}

std::expected<file_lock, int> file_lock::take(const std::string& path, mode m) {
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0)
    return std::unexpected{errno};
  file_lock out{fd};
  if (::flock(fd, (m == mode::shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0)
    return std::unexpected{errno};
  return out;
}

file_lock::~file_lock() {
  if (fd_ >= 0)
    ::close(fd_);
}

} // namespace ron::core::store
