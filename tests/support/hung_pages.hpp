#pragma once

#include "core/store/residency.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace ron::test {

/// A folder in memory, where pages can be taken from a file.
inline std::string folder_in_memory() {
  std::string pattern = "/dev/shm/ron-test-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr)
    throw std::runtime_error("no folder in /dev/shm");
  return pattern;
}

/// A file of a `folder_in_memory` on a disk that does not answer: no page of it is in memory, and a
/// thread that touches one through the map that this process has of it waits until `go_on`. Made
/// when nobody uses the file. As userfaultfd(2), for the user's own faults.
class hung_pages {
public:
  explicit hung_pages(const std::string& path)
    : file_(check(::open(path.c_str(), O_RDWR | O_CLOEXEC), "open")),
      faults_(check(static_cast<int>(::syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY)),
                    "userfaultfd")) {
    std::ifstream in{path, std::ios::binary};
    bytes_.assign(std::istreambuf_iterator<char>{in}, {});
    const auto map = core::store::mapped_file::of(file_).map();
    if (bytes_.empty() || map.size() < bytes_.size())
      throw std::runtime_error("the file is not mapped");
    uffdio_api api{};
    api.api = UFFD_API;
    check(::ioctl(faults_, UFFDIO_API, &api), "UFFDIO_API");
    range_ = {reinterpret_cast<std::uintptr_t>(map.data()), bytes_.size()};
    uffdio_register area{};
    area.range = range_;
    area.mode = UFFDIO_REGISTER_MODE_MISSING;
    check(::ioctl(faults_, UFFDIO_REGISTER, &area), "UFFDIO_REGISTER");
    check(::fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                      static_cast<off_t>(bytes_.size())),
          "fallocate");
  }
  ~hung_pages() {
    go_on();
    ::close(faults_);
    ::close(file_);
  }
  hung_pages(const hung_pages&) = delete;
  hung_pages& operator=(const hung_pages&) = delete;

  /// All is in memory again, and whoever waited goes on.
  void go_on() noexcept {
    if (bytes_.empty())
      return;
    static_cast<void>(::pwrite(file_, bytes_.data(), bytes_.size(), 0));
    ::ioctl(faults_, UFFDIO_WAKE, &range_);
    bytes_.clear();
  }

private:
  static int check(int r, const char* what) {
    if (r < 0)
      throw std::runtime_error(std::string{what} + ": " + std::strerror(errno));
    return r;
  }

  int file_;
  int faults_;
  std::vector<char> bytes_; ///< of the file; empty: it goes on
  uffdio_range range_{};
};

} // namespace ron::test
