#pragma once

#include "core/actor/actor.hpp"
#include "core/actor/answer.hpp"
#include "core/actor/helper_pool.hpp"
#include "core/actor/role_ref.hpp"
#include "core/live.hpp"
#include "mailbox/journal.hpp"
#include "mailbox/messages.hpp"
#include "mailbox/partition.hpp"
#include "mailbox/waiters.hpp"

#include <atomic>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace ron::mailbox {

/// Bounds of the whole mailbox, split over its partitions.
struct mailbox_limits {
  std::size_t partitions = 8;          ///< 1..1024; topics are spread over them by name
  std::size_t messages_max = 1'048'576;
  std::uint64_t bytes_max = 256u << 20;
  std::size_t topics_max = 65'536;
  std::size_t dedup_max = 100'000;     ///< idempotency keys remembered
  /// Of each kind a shard: long polls, followers, readers.
  core::knob<std::size_t> waiters_max = 4'096;
  core::knob<std::uint32_t> attempts_max = 5;
  core::knob<milliseconds> dedup_window = milliseconds{300'000};
};

/// Who waits and reads at a replica.
struct line_stats {
  std::int64_t waiting = 0;   ///< asks for a delivery
  std::int64_t following = 0; ///< asks for a look at what comes next
  std::int64_t readers = 0;
  std::int64_t held = 0;      ///< deliveries that readers have not settled
};

/// What the mailbox actors of all shards share. A partition is touched only by the replica of its
/// shard; it lives here so that a restarted replica finds the messages.
class mailbox_parts {
public:
  /// Without a journal everything is in RAM and goes with the process.
  mailbox_parts(mailbox_limits limits, const core::clock& clock,
                std::shared_ptr<journal> store = nullptr);

  std::size_t index_of(std::string_view topic) const noexcept;
  partition& at(std::size_t i) noexcept { return partitions_[i]; }
  std::size_t size() const noexcept { return partitions_.size(); }
  const mailbox_limits& limits() const noexcept { return limits_; }
  const core::clock& clock() const noexcept { return clock_; }

  /// Null in RAM.
  const std::shared_ptr<journal>& store() const noexcept { return store_; }
  /// True while its store does not go on. Any thread.
  bool stalled() const noexcept { return store_ && store_->stalled(); }
  /// Threads that read the journal; only with one.
  core::helper_pool& readers() noexcept { return *readers_; }
  /// Ends the readers; after the actors, before the journal goes. Idempotent.
  void close();

  /// True while every partition has what its store has. Any thread.
  bool loaded() const noexcept { return loading_.load(std::memory_order_acquire) == 0; }
  /// Partition `i` is read anew, or has been. Its own shard.
  void set_loaded(std::size_t i, bool is);

  /// A replica that showed `last` has come to `now`. Any thread.
  void show(line_stats& last, const line_stats& now) noexcept;
  /// What partition `i` has come to, for `stats`. Its own shard.
  void publish(std::size_t i);
  /// All partitions together. Any thread.
  partition_stats stats() const;

private:
  struct shown {
    mutable std::mutex mutex;
    partition_stats last;
    bool loaded = true;
  };

  mailbox_limits limits_;
  const core::clock& clock_;
  std::shared_ptr<journal> store_;
  std::unique_ptr<core::helper_pool> readers_;
  std::atomic<std::size_t> loading_{0};
  std::atomic<std::int64_t> waiting_{0};
  std::atomic<std::int64_t> following_{0};
  std::atomic<std::int64_t> readers_now_{0};
  std::atomic<std::int64_t> held_{0};
  std::vector<partition> partitions_;
  std::vector<shown> shown_;
};

/// A long poll that found nothing yet.
struct waiting_receive {
  receive what;
  core::answer_to<received> to;
};

/// A reader that has seen everything.
struct waiting_browse {
  browse what;
  caf::typed_response_promise<browsed> promise;
};

/// What a replica knows of a partition it holds, beside the partition.
struct partition_seat {
  bool loading = false;         ///< requests are refused until it has what its store has
  bool broken = false;          ///< a change was lost: answers that wait may be wrong
  std::size_t outstanding = 0;  ///< writes that were not told of yet
  /// What is to be given back once it is loaded: of readers that left, and deliveries that were
  /// lost before anybody was told. No more than was taken.
  std::vector<std::pair<std::string, std::vector<std::string>>> returns;
  /// Replays of a send that waits for the disk, by the number of the message they wait for: served
  /// when that is known. They are requests under way, bounded as those are.
  std::map<std::uint64_t, std::vector<kept>> replays;
};

/// A send that waits for the disk.
template <class Answer>
struct waiting_send {
  accepted<Answer> what;
  core::answer_to<Answer> to;
};

/// Who is told what became of an entry of a partition.
struct written_entry {
  std::size_t at = 0;
  std::variant<kept, waiting_send<sent>, waiting_send<sent_batch>> then;
};

/// Changes of one turn on their way to the journal: all of them are one job there and are told of
/// in one pass.
struct gathered_writes {
  static constexpr std::size_t entries_max = 512; ///< written at once when there are so many,
  static constexpr std::size_t bytes_max = 1u << 20; ///< or payloads of so many bytes

  journal_batch batch;
  std::vector<written_entry> then; ///< of each entry
  std::size_t bytes = 0;  ///< of payloads
  bool full() const noexcept { return then.size() >= entries_max || bytes >= bytes_max; }
};

/// One replica of the mailbox role; there is one on every shard. Replica i of n holds partitions
/// i, i + n, ...; what belongs to another shard is passed on to its replica.
struct mailbox_state {
  static constexpr const char* name = "mailbox";
  ~mailbox_state();
  std::shared_ptr<mailbox_parts> parts;
  std::shared_ptr<core::role_table> replicas;
  std::optional<waiter_list<waiting_receive>> waiters;
  std::optional<waiter_list<waiting_browse>> followers;
  std::optional<reader_book> readers;
  line_stats shown;
  std::vector<partition_seat> seats; ///< one per partition, its own in use
  std::uint64_t source = 0;          ///< what the journal knows this replica by
  gathered_writes gathered;
  core::instant tick_at{};    ///< when the timer that is set fires; epoch = none is set
};

/// The role's interface and the replica's own timer.
using mailbox_replica = mailbox_actor::extend<
  // INTERNAL: a delay, a visibility period or a caller's patience has ended.
  caf::reacts_to<atom::tick>,
  // INTERNAL: try again to read this partition from its store.
  caf::reacts_to<atom::tick, std::uint64_t>,
  // INTERNAL: time to forget what is over, though nobody asks for it.
  caf::reacts_to<atom::wake>>;

using mailbox_self = core::actor_self<mailbox_replica, mailbox_state>;

/// Answers what changes a partition when its store has the change. After a restart, or when a
/// change was lost, the partition is read from its store, some hundred entries a turn.
mailbox_replica::behavior_type make_mailbox(mailbox_self self,
                                            std::shared_ptr<mailbox_parts> parts,
                                            std::shared_ptr<core::role_table> replicas);

} // namespace ron::mailbox
