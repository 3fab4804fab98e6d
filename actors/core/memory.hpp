#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>

namespace ron::core {

/// The smallest memory limit of the cgroups that this process is in, in bytes, or nothing if
/// there is none. `cgroups` is the mount point, `self` the text of /proc/self/cgroup; version 2
/// and the memory controller of version 1 are understood.
std::optional<std::uint64_t> cgroup_memory_limit(const std::filesystem::path& cgroups,
                                                 std::string_view self);

/// Bytes of memory this process may use: the machine's RAM or its cgroup's limit, if less.
/// Reads a few files of /proc and /sys; call it at start, not per request.
std::uint64_t available_memory();

/// What the process uses now. Fields that the kernel does not tell are 0.
struct process_usage {
  std::uint64_t resident_bytes = 0;
  std::uint64_t virtual_bytes = 0;
  std::uint64_t open_fds = 0;
  std::uint64_t max_fds = 0;
  double cpu_seconds = 0;        ///< user and system
  double start_unix_seconds = 0; ///< when it started
};

/// Raises the soft limit on descriptors to the hard one, which is what the administrator allows,
/// and returns it. Any thread; once, at start.
std::uint64_t raise_descriptor_limit() noexcept;

/// Reads all of `process_usage`; some 20 us and more with many descriptors. Any thread.
process_usage read_process_usage();

/// Resident bytes that are the process's own: without pages of files, which the kernel takes back
/// when it needs them. A few microseconds, for a check every 250 ms.
std::uint64_t private_bytes() noexcept;

} // namespace ron::core
