#pragma once

#include "core/clock.hpp"
#include "mailbox/journal.hpp"

#include <chrono>
#include <expected>
#include <memory>
#include <string>

namespace ron::mailbox {

/// Where mail lies and how large it may grow.
struct lmdb_journal_options {
  std::string path;             ///< folder; its parent exists
  std::uint64_t map_bytes = 0;  ///< cap, address space only
  std::uint32_t readers_max = 32;
  /// What may wait for the disk before `has_room` turns false. The queue itself holds four times
  /// as much: what is under way already is never refused.
  std::size_t pending_max = 4'096;
  std::size_t pending_bytes_max = 16u << 20;
  /// See `core::store::logged_store_options`.
  std::size_t log_segment_bytes = 8u << 20;
  std::size_t log_checkpoint_bytes = 32u << 20;
  std::chrono::milliseconds log_idle{2'000};
};

/// A journal that survives the process: success is told after the change has reached the disk, in
/// the log in front of LMDB. Errors as `environment::open`.
std::expected<std::unique_ptr<journal>, core::store::open_error>
open_lmdb_journal(const lmdb_journal_options& options, const core::clock& clock,
                  core::store::faults* injected = nullptr);

} // namespace ron::mailbox
