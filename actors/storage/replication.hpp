#pragma once

#include "core/clock.hpp"
#include "core/ids.hpp"
#include "storage/replication_work.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace ron::storage {

/// Numbers of peers, best first, for the copies of an object: rendezvous hashing of its id with
/// their names (Thaler and Ravishankar, 1998). All nodes that name a peer alike agree, and a peer
/// more or less moves only the objects that it has.
std::vector<std::uint32_t> rank_peers(const core::cid& c, const std::vector<std::string>& peers);

/// How a peer of this name is written in the work list.
peer_key key_of_peer(const std::string& name);

/// Tells apart what `storage.rf` and `storage.peers` were set to, whatever the order of the peers.
std::uint64_t mark_of(std::uint32_t copies, std::vector<std::string> peers);

/// True if a transfer that has moved `bytes` in `spent` keeps its peer from others: slower than
/// 256 KiB/s after `grace`. `spent` without the time that the pace of repairs has taken.
bool too_slow(std::uint64_t bytes, std::chrono::nanoseconds spent,
              std::chrono::seconds grace = std::chrono::seconds{60}) noexcept;

/// Bounds of replication.
struct replication_limits {
  std::size_t tracked_max = 1'024;             ///< items of the work list held in RAM
  std::chrono::milliseconds retry_base{500};   ///< after the first failure; doubles ...
  std::chrono::milliseconds retry_max{60'000}; ///< ... up to this; a delay is anything below it
  std::chrono::milliseconds probe_every{30'000}; ///< a peer that nothing was moved to or from
};

/// One transfer to be made: the object or its release to the peer, or from it if it is a repair.
struct transfer {
  core::cid cid;
  duty what = duty::copy;
  std::uint32_t peer = 0;
};

/// What became of a transfer.
enum class transfer_outcome : std::uint8_t {
  done,
  pointless,   ///< the object is gone here, or whole again
  refused,     ///< the peer did not take this object, or our own store failed
  missing,     ///< the peer has not got the object, or not whole
  turned_away, ///< the peer answers, and takes nothing of us now: full, busy, another root key
  unreachable, ///< the peer did not answer, or not as the node that it should be
};

/// Decides which object goes to which peer next. One transfer per peer at a time; a peer that does
/// not answer and an object that is refused are left alone for a while, with full jitter. What is
/// not tracked is in the work list of the store, which is read again and again. Pure; one thread
/// at a time.
class replication_machine {
public:
  /// `copies` 1..: of each object, this node's included.
  replication_machine(replication_limits limits, std::uint32_t copies,
                      std::vector<std::string> peers, std::uint64_t seed);

  /// True if more of the work list can be taken in.
  bool has_room() const noexcept { return items_.size() < limits_.tracked_max; }
  /// Takes an item in unless it is there already, there is no room, or all peers that it needs are
  /// left alone: what waits for a dead peer is not in the way of the rest. Returns what is to be
  /// written off at once, because no peer has a part in it.
  std::optional<settlement> add(const work_item& item, core::instant now);
  /// Forgets what is not under way, so that the rest of the work list has its turn.
  void drop_waiting();
  /// Another number of copies. What waits is forgotten, to be taken in again from the work list; of
  /// what is under way only the part at its peer is written off.
  void set_copies(std::uint32_t copies);

  /// The next transfer, if there is one that can be made now.
  std::optional<transfer> next(core::instant now);
  /// The outcome of a transfer. Returns what can be written off the work list.
  std::optional<settlement> done(const transfer& t, transfer_outcome how, core::instant now);

  /// A peer that has to be asked whether it is there; as a transfer, it has an outcome.
  std::optional<std::uint32_t> probe(core::instant now);
  void probed(std::uint32_t peer, transfer_outcome how, core::instant now);

  std::size_t tracked() const noexcept { return items_.size(); }
  /// How long a peer is left alone from now on; 0 = not at all.
  core::instant::duration rest_of(std::uint32_t peer, core::instant now) const noexcept;

private:
  struct item {
    duty what = duty::copy;
    std::vector<std::uint32_t> peers; ///< copy, release: still without; repair: still to be asked
    std::uint32_t failures = 0;
    std::uint32_t running = 0;
    core::instant due{};
    bool outdated = false; ///< begun for another number of copies: nothing more of it
  };
  struct peer_turn {
    bool busy = false;
    std::uint32_t failures = 0;
    core::instant due{};
    core::instant probe_due{};
  };

  std::vector<std::uint32_t> peers_for(const work_item& w) const;
  void rate_peer(std::uint32_t peer, transfer_outcome how, core::instant now);
  void put_off(item& it, core::instant now) { it.due = retry_at(++it.failures, now); }
  core::instant retry_at(std::uint32_t failures, core::instant now);

  replication_limits limits_;
  std::uint32_t copies_;
  std::vector<std::string> names_;
  std::vector<peer_key> keys_;
  std::vector<peer_turn> peers_;
  std::map<core::cid, item> items_;
  std::optional<core::cid> last_; ///< where `next` went on
  std::mt19937_64 dice_;
};

} // namespace ron::storage
