#pragma once

#include "core/error.hpp"
#include "core/store/environment.hpp"
#include "core/store/writer.hpp"
#include "mailbox/change.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

namespace ron::mailbox {

/// Called exactly once, on any thread, possibly before `journal::write` returns. Quick, never
/// blocks.
using kept = std::move_only_function<void(core::result<void>)>;

/// The buckets that a partition holds: `index`, `index + count`, ... below `buckets`.
struct bucket_share {
  std::size_t index = 0;
  std::size_t count = 1;
};

/// How far a partition has been read.
struct read_place {
  std::size_t in = 0;             ///< the bucket that is read, or the next
  bool sends = false;             ///< messages come first, then idempotent sends
  std::vector<std::uint8_t> last; ///< key of the last entry that was read in it; empty = none
  bool done = false;
};

/// A piece of what a partition held.
struct journal_page {
  std::vector<stored_mail> mail;
  std::vector<std::pair<bucket, stored_send>> sends;
  read_place next;
};

struct journal_stats {
  core::store::environment_usage map;
  core::store::writer_stats writer;
};

/// Keeps what partitions tell it, for their next life. One object serves all shards; every
/// function may be called from any thread.
class journal {
public:
  virtual ~journal() = default;

  /// Keeps `changes`, all or nothing, after everything that `source` wrote before; then tells.
  /// Without changes it tells when everything before has been told of. Errors: store_quota,
  /// disk_full, busy, degraded.
  virtual void write(std::uint64_t source, std::vector<change> changes, kept then) = 0;
  /// False while so much waits for the disk that callers are better told to come again.
  virtual bool has_room() const = 0;

  /// The next piece of what the partition held, at most `page_entries_max` entries or a little
  /// more than `page_bytes_max`. Waits for the disk: not on a shard. A damaged record is left out
  /// and put aside, so that one bad byte does not hold up the rest; a message whose state is
  /// damaged counts as never delivered. Errors: busy, degraded, internal.
  virtual core::result<journal_page> read(bucket_share of, const read_place& from) = 0;
  static constexpr std::size_t page_entries_max = 512;
  static constexpr std::size_t page_bytes_max = 1u << 20;

  /// Where a topic lies. The same for the life of the store; nobody outside can tell.
  virtual bucket bucket_of(std::string_view topic) const noexcept = 0;
  /// The highest sequence number that was ever kept, as of the opening.
  virtual std::uint64_t last_seq() const noexcept = 0;
  /// Damaged records that were found and put aside, in this life of the store and before.
  virtual std::size_t damaged() const = 0;
  /// For metrics.
  virtual journal_stats stats() = 0;
};

} // namespace ron::mailbox
