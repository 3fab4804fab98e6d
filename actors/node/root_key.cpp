#include "node/root_key.hpp"

#include "core/crypto/secure_wipe.hpp"

#include <charconv>
#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace ron::node {

namespace {

std::unexpected<start_failure> refuse(const std::string& path, const std::string& why) {
  return cannot_start(exit_configuration, "caps.root-keys: " + path + " " + why);
}

} // namespace

started<std::array<std::uint8_t, 32>> read_root_key(const std::string& path) {
  std::array<std::uint8_t, 32> key{};
  std::array<std::uint8_t, 2 * key.size() + 2> text{}; // a line end, and one more to notice
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    return refuse(path, std::string{"cannot be read: "} + std::strerror(errno));
  struct ::stat s {};
  const bool shared = ::fstat(fd, &s) != 0 || (s.st_mode & 077) != 0;
  const auto n = ::read(fd, text.data(), text.size());
  ::close(fd);
  if (shared)
    core::crypto::secure_wipe(text);
  if (shared)
    return refuse(path, "may be read by others: chmod 600 it");
  bool good = n == 2 * static_cast<ssize_t>(key.size())
              || (n == 2 * static_cast<ssize_t>(key.size()) + 1 && text[2 * key.size()] == '\n');
  for (std::size_t i = 0; good && i < key.size(); ++i) {
    const auto* at = reinterpret_cast<const char*>(text.data()) + 2 * i;
    good = std::from_chars(at, at + 2, key[i], 16).ptr == at + 2;
  }
  core::crypto::secure_wipe(text);
  started<std::array<std::uint8_t, 32>> out{key};
  core::crypto::secure_wipe(key);
  if (good)
    return out;
  core::crypto::secure_wipe(*out);
  return refuse(path, "does not hold 64 hex digits; `openssl rand -hex 32` makes some");
}

} // namespace ron::node
