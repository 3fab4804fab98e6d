#pragma once

#include "core/error.hpp"
#include "core/store/environment.hpp"
#include "core/store/logged_store.hpp"
#include "core/store/writer.hpp"
#include "mailbox/change.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

namespace ron::mailbox {

/// Called exactly once, on any thread, possibly before `journal::write` returns. Quick, never
/// blocks.
using kept = std::move_only_function<void(core::result<void>)>;

/// Changes that are kept by one write: entries one after the other, each all or nothing.
struct journal_batch {
  std::vector<change> changes;
  std::vector<std::size_t> ends; ///< of each entry, into `changes`
};

/// What became of a batch.
class batch_outcome {
public:
  explicit batch_outcome(core::result<void> all) : all_(std::move(all)) {}

  /// Entry `i` was not kept though others were. In the order of the entries.
  void refuse(std::size_t i, core::error why) { refused_.emplace_back(i, std::move(why)); }
  /// What became of entry `i`.
  core::result<void> of(std::size_t i) const;

private:
  core::result<void> all_;
  std::vector<std::pair<std::size_t, core::error>> refused_;
};

/// As `kept`, of a batch.
using batch_kept = std::move_only_function<void(batch_outcome)>;

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
  /// What the journal itself remembers of the partition while it is read.
  std::shared_ptr<const void> context{};
};

/// A piece of what a partition held.
struct journal_page {
  std::vector<stored_mail> mail;
  std::vector<std::pair<bucket, stored_send>> sends;
  read_place next;
};

struct journal_stats {
  std::optional<core::store::environment_usage> map; ///< none while the store is stalled
  core::store::writer_stats writer; ///< of LMDB: checkpoints
  core::store::log_stats log;
};

/// Keeps what partitions tell it, for their next life. One object serves all shards; every
/// function may be called from any thread.
class journal {
public:
  virtual ~journal() = default;

  /// Keeps a batch after everything that `source` wrote before; then tells. An entry without
  /// changes is told of when everything before has been. `b` is not needed any more when this
  /// returns. Errors: store_quota (of an entry), disk_full, busy, degraded.
  virtual void write(std::uint64_t source, const journal_batch& b, batch_kept then) = 0;
  /// As a batch of one entry.
  void write(std::uint64_t source, std::vector<change> changes, kept then);
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
  /// Looks whether the store goes on. To be called every second or so.
  virtual void maintain() {}
  /// True while a call into the store, or a write, does not come back, see
  /// `core::store::store_watch`; as of the last `maintain`.
  virtual bool stalled() const noexcept { return false; }
  /// For metrics.
  virtual journal_stats stats() = 0;
};

} // namespace ron::mailbox
