#include "core/store/log_files.hpp"

#include "core/store/log_format.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <functional>
#include <string_view>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

namespace ron::core::store {

namespace {

/// Pieces of one system call (the kernel takes 1024).
constexpr std::size_t pieces_max = 1'024;
constexpr std::size_t fill_step = 1u << 20;

/// 0 or errno.
int read_all(int fd, log_image& to) {
  struct ::stat s {};
  if (::fstat(fd, &s) != 0)
    return errno;
  to.resize(static_cast<std::size_t>(s.st_size));
  std::size_t done = 0;
  while (done < to.size()) {
    const auto n = ::pread(fd, to.data() + done, to.size() - done, static_cast<off_t>(done));
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return errno;
    if (n == 0)
      break; // it was made shorter meanwhile
    done += static_cast<std::size_t>(n);
  }
  to.resize(done);
  return 0;
}

} // namespace

std::string log_file_name(const std::string& folder, std::size_t slot) {
  return folder + "/log." + std::to_string(slot);
}

std::size_t log_files_in(const std::string& folder) {
  constexpr std::string_view prefix = "log.";
  std::size_t n = 0;
  std::error_code ignored;
  for (const auto& file : std::filesystem::directory_iterator{folder, ignored}) {
    const auto name = file.path().filename().string();
    std::size_t slot = 0;
    const auto* end = name.data() + name.size();
    if (name.starts_with(prefix)
        && std::from_chars(name.data() + prefix.size(), end, slot).ptr == end
        && slot < log_files_max)
      n = std::max(n, slot + 1);
  }
  return n;
}

log_files::~log_files() {
  for (auto fd : fds_)
    if (fd >= 0)
      ::close(fd);
}

int log_files::open(std::size_t slot) {
  if (slot >= fds_.size())
    fds_.resize(slot + 1, -1);
  if (fds_[slot] >= 0)
    return 0;
  fds_[slot] = ::open(log_file_name(folder_, slot).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  return fds_[slot] < 0 ? errno : 0;
}

int log_files::prepare(std::size_t slot) {
  if (auto rc = open(slot); rc != 0)
    return rc;
  const auto fd = fds_[slot];
  struct ::stat s {};
  if (::fstat(fd, &s) != 0)
    return errno;
  const auto there = static_cast<std::size_t>(s.st_size);
  if (there == segment_bytes_)
    return 0;
  if (there > segment_bytes_) // a record that was longer than a segment
    return ::ftruncate(fd, static_cast<off_t>(segment_bytes_)) == 0 ? 0 : errno;
  if (auto rc = fill(fd, there); rc != 0) {
    // Not longer than it is written: what is missing is filled the next time.
    (void)::ftruncate(fd, static_cast<off_t>(there));
    return rc;
  }
  return sync_path(folder_);
}

int log_files::fill(int fd, std::size_t from) {
  if (auto rc = ::posix_fallocate(fd, static_cast<off_t>(from),
                                  static_cast<off_t>(segment_bytes_ - from));
      rc != 0)
    return rc;
  const std::vector<std::uint8_t> zeros(std::min(fill_step, segment_bytes_));
  for (auto at = from; at < segment_bytes_;) {
    const auto n = ::pwrite(fd, zeros.data(), std::min(zeros.size(), segment_bytes_ - at),
                            static_cast<off_t>(at));
    if (n < 0 && errno != EINTR)
      return errno;
    at += n > 0 ? static_cast<std::size_t>(n) : 0;
  }
  return ::fsync(fd) == 0 ? 0 : errno;
}

int log_files::write(std::size_t slot, std::size_t at, std::span<const byte_view> pieces) {
  if (auto rc = open(slot); rc != 0)
    return rc;
  std::array<::iovec, pieces_max> io;
  std::size_t skip = 0; // of the first piece
  while (!pieces.empty()) {
    std::size_t n = 0;
    for (; n < std::min(pieces.size(), pieces_max); ++n)
      io[n] = {const_cast<std::uint8_t*>(pieces[n].data()), pieces[n].size()};
    io[0].iov_base = static_cast<std::uint8_t*>(io[0].iov_base) + skip;
    io[0].iov_len -= skip;
    const auto wrote
      = ::pwritev(fds_[slot], io.data(), static_cast<int>(n), static_cast<off_t>(at));
    if (wrote < 0 && errno == EINTR)
      continue;
    if (wrote < 0)
      return errno;
    at += static_cast<std::size_t>(wrote);
    for (skip += static_cast<std::size_t>(wrote);
         !pieces.empty() && skip >= pieces.front().size(); pieces = pieces.subspan(1))
      skip -= pieces.front().size();
  }
  return 0;
}

int log_files::sync(std::size_t slot) {
  return ::fdatasync(fds_[slot]) == 0 ? 0 : errno;
}

int log_files::read(std::size_t slot, log_image& to) {
  if (auto rc = open(slot); rc != 0)
    return rc;
  return read_all(fds_[slot], to);
}

bool log_files::try_lock() {
  auto lock = file_lock::take(folder_ + "/" + log_lock_name, file_lock::mode::exclusive);
  if (lock)
    lock_.emplace(std::move(*lock));
  return lock.has_value();
}

void log_files::unlock() {
  lock_.reset();
}

// -- of somebody else -----------------------------------------------------------------------------

namespace {

/// The lock, or nothing where nobody can write. Its owner holds it for moments only.
result<std::optional<file_lock>> lock_as_reader(const std::string& folder) {
  constexpr int tries = 200;
  for (int i = 0;; ++i) {
    auto lock = file_lock::take(folder + "/" + log_lock_name, file_lock::mode::shared);
    if (lock)
      return std::optional{std::move(*lock)};
    if (lock.error() == EROFS || lock.error() == EACCES)
      return std::nullopt;
    if (lock.error() != EWOULDBLOCK || i == tries)
      return fail(lock.error() == EWOULDBLOCK ? ec::busy : ec::degraded,
                  "cannot lock the log in " + folder + ": " + std::strerror(lock.error()));
    ::poll(nullptr, 0, 10);
  }
}

} // namespace

result<std::vector<std::pair<std::size_t, log_image>>> read_log(const std::string& folder) {
  std::vector<std::pair<std::size_t, log_image>> out;
  const auto n = log_files_in(folder);
  if (n == 0)
    return out;
  auto lock = lock_as_reader(folder);
  if (!lock)
    return std::unexpected{lock.error()};
  struct found {
    std::uint64_t generation = 0;
    std::size_t slot = 0;
    int fd = -1;
  };
  std::vector<found> files;
  int code = 0;
  for (std::size_t i = 0; i < n && code == 0; ++i) {
    const auto fd = ::open(log_file_name(folder, i).c_str(), O_RDONLY | O_CLOEXEC);
    code = fd < 0 && errno != ENOENT ? errno : 0;
    log_page page{};
    if (fd >= 0 && ::pread(fd, page.data(), page.size(), 0) >= 0) {
      const auto head = decode_head(page);
      files.push_back({head ? head->of.generation : 0, i, fd});
    }
  }
  std::ranges::sort(files, std::ranges::greater{}, &found::generation);
  for (auto& f : files) {
    if (code == 0)
      code = read_all(f.fd, out.emplace_back(f.slot, log_image{}).second);
    ::close(f.fd);
  }
  if (code != 0)
    return fail(ec::degraded, "cannot read the log in " + folder + ": " + std::strerror(code));
  return out;
}

} // namespace ron::core::store
