#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <utility>

namespace ron::core::store {

/// Makes a file durable, or the entries of a folder: without the latter a new or renamed file may
/// be gone after power loss. Returns 0 or the errno. Waits for the disk.
int sync_path(const std::string& path) noexcept;

/// A lock on a file that other processes see (flock); held until it goes. The file is made when
/// it is missing and stays.
class file_lock {
public:
  enum class mode : std::uint8_t { shared, exclusive };

  /// Never waits. Error: errno, EWOULDBLOCK when another process holds it.
  static std::expected<file_lock, int> take(const std::string& path, mode m);

  file_lock(file_lock&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  file_lock& operator=(file_lock&&) = delete;
  ~file_lock();

private:
  explicit file_lock(int fd) noexcept : fd_(fd) {}
  int fd_;
};

/// Name of the lock that the one owner of an environment's folder holds exclusively.
inline constexpr const char* owner_lock_name = "owner.lock";
/// Name of the lock that who only reads holds shared, and who puts another file in place of the
/// data holds exclusively.
inline constexpr const char* guest_lock_name = "guest.lock";

} // namespace ron::core::store
