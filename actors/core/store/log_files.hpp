#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/store/files.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace ron::core::store {

/// Name of the lock that who copies or checks a log holds shared: meanwhile no segment is used
/// anew.
inline constexpr const char* log_lock_name = "log.lock";

/// `log.<slot>` in the folder of an environment.
std::string log_file_name(const std::string& folder, std::size_t slot);
/// No log has more files.
inline constexpr std::size_t log_files_max = 1'024;
/// One more than the highest slot whose file lies in a folder.
std::size_t log_files_in(const std::string& folder);

/// What a segment's file holds.
using log_image = std::vector<std::uint8_t>;

/// The files of a log, opened when they are needed and kept open. Each function returns 0 or the
/// errno. One thread at a time.
class log_files {
public:
  log_files(std::string folder, std::size_t segment_bytes)
    : folder_(std::move(folder)), segment_bytes_(segment_bytes) {
    // nop
  }
  ~log_files();
  log_files(const log_files&) = delete;
  log_files& operator=(const log_files&) = delete;

  /// Makes the file of a segment what it is to be: as long as a segment, and written once from end
  /// to end, so that a later fdatasync has nothing but data to write. The folder knows it then.
  int prepare(std::size_t slot);
  int write(std::size_t slot, std::size_t at, std::span<const byte_view> pieces);
  int sync(std::size_t slot);
  int read(std::size_t slot, log_image& to);

  /// True while nobody copies the log; then nobody can begin to until `unlock`.
  bool try_lock();
  void unlock();

private:
  int open(std::size_t slot);
  int fill(int fd, std::size_t from);

  std::string folder_;
  std::size_t segment_bytes_;
  std::vector<int> fds_; ///< -1: not open
  std::optional<file_lock> lock_;
};

/// Reads all files of a log that its owner may be writing to, the newest first, so that what is
/// read of older ones is complete. Errors: degraded, busy (the lock is held too long).
result<std::vector<std::pair<std::size_t, log_image>>> read_log(const std::string& folder);

} // namespace ron::core::store
