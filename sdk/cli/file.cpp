#include "file.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace ron::cli {

using core::bytes;
using core::ec;
using core::fail;
using core::result;

namespace {

constexpr std::size_t read_bytes = 256 * 1024;

} // namespace

result<file> file::open(const std::string& path, int flags) {
  file f{::open(path.c_str(), flags | O_CLOEXEC, 0644)};
  if (f.fd_ < 0)
    return fail(ec::bad_request, path + ": " + std::strerror(errno));
  return f;
}

file::file(file&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {
  // nop
}

file::~file() {
  if (fd_ > STDERR_FILENO)
    ::close(fd_);
}

result<bytes> file::read() {
  core::slab s{read_bytes};
  const auto n = ::read(fd_, s.room().data(), s.room().size());
  if (n < 0)
    return fail(ec::bad_request, std::string{"reading: "} + std::strerror(errno));
  s.commit(static_cast<std::size_t>(n));
  return s.cut(0, static_cast<std::size_t>(n));
}

result<void> file::write(core::byte_view v) {
  while (!v.empty()) {
    const auto n = ::write(fd_, v.data(), v.size());
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return fail(ec::disk_full, std::string{"writing: "} + std::strerror(errno)
                                   + (errno == ENOSPC ? "; make room and try again" : ""));
    v = v.subspan(static_cast<std::size_t>(n));
  }
  return {};
}

} // namespace ron::cli
