#pragma once

#include "storage/peer.hpp"
#include "storage/replication.hpp"
#include "storage/replication_stats.hpp"
#include "storage/replication_walk.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

namespace ron::storage {

/// How copies of the node's objects are kept elsewhere.
struct replicator_options {
  std::uint32_t copies = 1;           ///< of each object, this node's included
  std::vector<peer_options> peers;    ///< at least `copies` - 1, at least one
  std::uint64_t rate = 0;             ///< bytes/s, all transfers together; 0 = no bound
  replication_limits limits{};
  walk_limits walk{};
};

/// The machines of a store, its peers and its work list, shared by the replicas of the role. The
/// work list is durable, in RAM with amnesia: what a crash interrupts is done again. Any thread.
class replicator {
public:
  /// Turns the work list of `db` on.
  replicator(std::shared_ptr<backend> db, replicator_options options);

  /// Makes one transfer if there is one to be made now. True if it did, and there may be more.
  /// Blocks: on a helper thread.
  bool step();
  /// Another number of copies (not more than peers + 1) and another rate. More copies: objects that
  /// are there get them, too. Fewer: those that lie elsewhere stay until the object is deleted.
  void set(std::uint32_t copies, std::uint64_t rate);
  /// Ends what is under way; `step` does nothing any more. Does not wait.
  void stop() { stop_.request_stop(); }

  /// Calls of `step` that make sense at once: one per peer.
  std::size_t width() const noexcept { return peers_.size(); }
  replication_stats stats() const;

private:
  /// What the store's writer reports to, though the replicator may be gone by then.
  struct shared {
    std::mutex mutex;
    std::multiset<core::cid> settling; ///< their rows are being written; at most the store's queue
    std::optional<store_id> self;
    bool asked = false; ///< for `self`
    std::optional<walk_machine> walk;
    std::uint64_t walks = 0; ///< machines that there were: a step's outcome is for its own
  };
  struct peer_note {
    bool up = false;
    std::string complaint; ///< what was last logged
    std::optional<store_id> store;
    transfer_failure failure = transfer_failure::none;
    std::uint64_t failures = 0;
    std::uint64_t unproven = 0;
  };

  std::optional<store_id> self();
  std::optional<transfer> choose();
  void refill();
  void walk_on();
  void settle(const settlement& s);
  bool probe(const store_id& self);
  void note(std::uint32_t peer, const transferred& r);
  void note_proof(std::uint32_t peer, const transferred& r);
  void note_store(std::uint32_t peer);
  void log_change(std::uint32_t peer, const transferred& r);

  std::shared_ptr<backend> db_;
  const replicator_options options_; ///< as it began: see `copies_` and `pacer_`
  pacer pacer_;
  std::vector<std::unique_ptr<peer>> peers_; ///< the machine lets one transfer at a time to each
  std::stop_source stop_;
  std::mutex walk_mutex_; ///< first of all: no step of an old walk behind the begin of a new one
  std::mutex refill_mutex_;
  duty reading_ = duty::copy;           ///< which list `refill` is in
  std::optional<core::cid> place_;      ///< in that list; nothing = its begin
  mutable std::mutex mutex_;
  std::uint32_t copies_;
  replication_machine machine_;
  std::vector<peer_note> notes_;
  std::shared_ptr<shared> shared_ = std::make_shared<shared>();
  std::atomic<std::uint64_t> sent_{0};
  std::atomic<std::uint64_t> repaired_{0};
  std::atomic<std::uint64_t> released_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> proofs_{0};
  std::atomic<std::uint64_t> unproven_{0};
  std::array<std::atomic<std::uint64_t>, transfer_failures + 1> failed_{};
};

} // namespace ron::storage
