#include "transport/tor/onion_key.hpp"

#include "transport/tor/control.hpp"
#include "transport/unique_fd.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace ron::transport::tor {

namespace {

using core::ec;
using core::fail;

constexpr std::size_t file_bytes_max = 256;

std::unexpected<core::error> os_fail(const std::string& path, const char* what) {
  return fail(ec::internal, path + ": " + what + ": " + std::strerror(errno));
}

/// At most `max` bytes of a regular file; more, or no such file: nothing. `about` is filled in.
std::optional<std::string> read_small(const std::string& path, std::size_t max,
                                      struct stat& about) {
  // The daemon names the path: it may be a pipe that would block, or a device.
  const unique_fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)};
  if (!fd || ::fstat(fd.get(), &about) != 0)
    return std::nullopt;
  if (!S_ISREG(about.st_mode)) {
    errno = EINVAL;
    return std::nullopt;
  }
  std::string out(max + 1, '\0');
  const auto n = ::read(fd.get(), out.data(), out.size());
  if (n < 0 || static_cast<std::size_t>(n) > max) {
    errno = n < 0 ? errno : EFBIG;
    return std::nullopt;
  }
  out.resize(static_cast<std::size_t>(n));
  return out;
}

} // namespace

core::result<std::string> load_onion_key(const std::string& path) {
  struct stat about{};
  auto text = read_small(path, file_bytes_max, about);
  if (!text)
    return errno == ENOENT ? core::result<std::string>{} : os_fail(path, "cannot be read");
  if ((about.st_mode & (S_IRWXG | S_IRWXO)) != 0)
    return fail(ec::forbidden, path + ": others may read this key; chmod 600 it");
  if (text->ends_with('\n'))
    text->pop_back();
  if (!is_onion_key(*text))
    return fail(ec::bad_request, path + ": holds no key of an onion service (ED25519-V3:...)");
  return *text;
}

core::result<void> save_onion_key(const std::string& path, const std::string& key) {
  const unique_fd fd{::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (!fd)
    return errno == EEXIST ? core::result<void>{fail(ec::conflict, path + ": exists")}
                           : os_fail(path, "cannot be made");
  const auto text = key + '\n';
  if (::write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())
      || ::fsync(fd.get()) != 0) {
    auto why = os_fail(path, "cannot be written");
    ::unlink(path.c_str()); // half a key would keep the node from starting
    return why;
  }
  const auto folder = std::filesystem::path{path}.parent_path();
  const unique_fd around{::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (!around || ::fsync(around.get()) != 0)
    return os_fail(path, "its folder cannot be synced");
  return {};
}

std::optional<std::string> load_cookie(const std::string& path) {
  struct stat about{};
  return read_small(path, control::cookie_bytes, about);
}

} // namespace ron::transport::tor
