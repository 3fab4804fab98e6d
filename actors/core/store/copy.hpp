#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace ron::core::store {

/// Told now and then, on a thread of its own, how many bytes of about how many are written.
using copy_progress = std::function<void(std::uint64_t written, std::uint64_t about)>;

/// Copies the last commit of the environment in folder `from` to the folder `to`, without its free
/// pages, and the log in front of it: all that was acknowledged before is in the copy. The node
/// that owns it may run and is not paused; its file may grow meanwhile, because pages it frees are
/// in use until the copy is complete. The copy has its name only when it is complete and durable.
/// Returns its bytes. Blocks for as long as it takes. Errors: not_found (no environment in `from`),
/// conflict (`to` is not empty), disk_full, busy (no reader slot, or being compacted), internal
/// (damaged), degraded (I/O).
result<std::uint64_t> copy_environment(const std::string& from, const std::string& to,
                                       const copy_progress& tell = {});

/// Copies the log that lies in front of an environment into the folder `to`, which exists. Before
/// the environment itself: then what the copy of that does not have yet is in the copy of the log.
/// Returns its bytes, 0 without a log. Errors: busy (the log is held too long), disk_full,
/// degraded.
result<std::uint64_t> copy_log(const std::string& from, const std::string& to);

/// What compacting has come to.
struct compacted {
  std::uint64_t bytes_before = 0; ///< of the file
  std::uint64_t bytes_after = 0;
};

/// Puts a copy without free pages in place of an environment's file: a crash leaves the old file
/// or the new one, never a part. Needs room for the copy beside the old file.
///
/// Not while a node owns the environment: LMDB maps the file, its lock file goes with it, and
/// writes that come during the copy would be lost. Nor does a running node need it: free pages are
/// used again. It only gives room back to the file system.
/// Errors: as `copy_environment`; busy if a node or a reader has it open.
result<compacted> compact_environment(const std::string& path, const copy_progress& tell = {});

} // namespace ron::core::store
