#pragma once

#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/limits.hpp"
#include "storage/object.hpp"
#include "storage/put_assembler.hpp"
#include "storage/replication_work.hpp"
#include "storage/scrub.hpp"
#include "storage/stats.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

namespace ron::storage {

/// Called exactly once with the outcome: on any thread, possibly before the call returns. Quick,
/// never blocks, does not throw.
template <class T>
using outcome = std::move_only_function<void(core::result<T>)>;

/// An object on its way in. One thread. Destroying it without a commit throws away what it has
/// stored; it must not outlive its back end.
class upload {
public:
  virtual ~upload() = default;

  /// Stores the next group. Errors: store_quota, disk_full, busy, degraded; the upload has failed
  /// then and can only be destroyed.
  virtual void add(full_group group, outcome<void> then) = 0;

  /// Stores the last group and makes the object known, all or nothing, after every `add` of this
  /// upload has succeeded. Nothing may be called after it.
  virtual void commit(finished_upload last, const core::tenant& holder,
                      outcome<put_result> then) = 0;
};

/// Where the bytes of an upload come from.
enum class origin : std::uint8_t {
  put,     ///< a client: the object gets a holder, and copies elsewhere if it is replicated
  replica, ///< another node copies its object here: the node is the holder, no further copies
  repair,  ///< another node had them: they take the place of damaged bytes, no new holder
};

/// How busy a back end is.
struct backend_load {
  std::uint64_t puts_open = 0;     ///< uploads that are not finished or gone
  std::uint64_t pending_bytes = 0; ///< added to uploads and not yet stored
};

/// Where objects are kept. One object serves all shards; every function may be called from any
/// thread. Reads see every write whose outcome was reported.
class backend {
public:
  virtual ~backend() = default;

  /// Begins an upload. Costs nothing until something is added. The commit of a `repair` fails with
  /// not_found if the object is gone by then.
  virtual std::unique_ptr<upload> begin(origin from) = 0;
  std::unique_ptr<upload> begin() { return begin(origin::put); }

  /// Waits for the disk if need be. Errors: not_found, busy, degraded.
  virtual core::result<object_info> head(const core::cid& c) = 0;
  /// The same as far as it need not wait, as `try_read`.
  virtual std::optional<core::result<object_info>> try_head(const core::cid& c) {
    return head(c);
  }

  /// Verified bytes, see `plan_read`. Nothing if they would have to come from a disk, or if the
  /// store cannot be read right now: then call `read` on a thread that may wait. Errors:
  /// not_found, range_not_satisfiable, bad_digest.
  virtual std::optional<core::result<chunk>> try_read(const core::cid& c, std::uint64_t offset,
                                                      std::uint64_t wanted) = 0;
  /// The same, waiting if need be. Errors as `try_read`, busy, degraded.
  virtual core::result<chunk> read(const core::cid& c, std::uint64_t offset,
                                   std::uint64_t wanted) = 0;

  /// Takes off a tenant's hold, or all holds for the zero tenant; without holds the object is
  /// gone. Errors: not_found, conflict (pinned), busy, degraded.
  virtual void del(const core::cid& c, const core::tenant& holder, outcome<void> then) = 0;
  /// One pin more, or one less. Errors: not_found, busy, degraded.
  virtual void pin(const core::cid& c, outcome<object_info> then) = 0;
  virtual void unpin(const core::cid& c, outcome<object_info> then) = 0;
  /// Pinned objects after the cursor `after`, at most `limit` (1..`page_max`). Waits for the disk
  /// if need be. Errors: busy, degraded.
  virtual core::result<object_page> pins(const std::optional<core::cid>& after,
                                         std::size_t limit) = 0;
  /// The same as far as it need not wait, as `try_read`.
  virtual std::optional<core::result<object_page>> try_pins(
    const std::optional<core::cid>& after, std::size_t limit) {
    return pins(after, limit);
  }

  /// Looks at stored groups from a place on, at least one and then until `bytes_max` are passed;
  /// what does not hash to its id is quarantined as by a read. Waits for the disk. Bytes that a
  /// disk would deliver otherwise than the page cache are not noticed. A store in RAM has nothing
  /// to look at. Errors: busy, degraded.
  virtual core::result<scrub_step> scrub(const scrub_place& from, std::uint64_t bytes_max) = 0;

  /// What is noted in the work list from now on, in the commit that it is part of. The list lies
  /// where the objects lie and outlives what is noted. After a time without `copies` the next walk
  /// begins anew.
  virtual void set_replication(const replication_mode& m) = 0;
  /// Copies and repairs after the cursor, at most `limit`, in the order of the ids. May wait for
  /// the disk. Errors: busy, degraded.
  virtual core::result<std::vector<work_item>> work(const std::optional<core::cid>& after,
                                                    std::size_t limit) = 0;
  /// The same of releases.
  virtual core::result<std::vector<work_item>> releases(const std::optional<core::cid>& after,
                                                        std::size_t limit) = 0;
  /// Writes off what was done; what is not on the list is no error. Errors: busy, degraded.
  virtual void settle(const settlement& s, outcome<void> then) = 0;
  /// Puts the next objects of this node's own on the list: goes on with the walk that is under
  /// way, or begins one for a new mark or when told to. Errors: busy, degraded, store_quota.
  virtual void walk(const walk_order& order, outcome<walk_state> then) = 0;
  /// The id of the store, made by the first call. Errors: busy, degraded.
  virtual void identify(outcome<store_id> then) = 0;

  /// Keeps an object for another node, if all of it is here: false if not. Errors: busy, degraded,
  /// store_quota.
  virtual void keep(const core::cid& c, const store_id& node, outcome<bool> then) = 0;
  /// Ends that; without holds the object is gone, unless it is pinned or `needed` here: then all
  /// stays as it is. What was not kept is no error. Errors: busy, degraded, bad_digest.
  virtual void release(const core::cid& c, const store_id& node, bool needed,
                       outcome<void> then) = 0;

  /// Takes up what was put off because the store was busy. To be called every few seconds.
  virtual void maintain() = 0;

  /// What decides whether more may come now. A few loads; for every request.
  virtual backend_load load() const noexcept = 0;
  /// True while a call into the store does not come back, see `core::store::store_watch`; as of the
  /// last `maintain`.
  virtual bool stalled() const noexcept { return false; }
  /// Everything, for metrics and people; not for every request.
  virtual storage_stats stats() = 0;

  /// Changes bounds while running.
  virtual void set_limits(std::uint64_t quota, std::uint64_t verified_cache) = 0;
};

/// What an object counts against the quota besides its bytes: records, holders, page waste.
inline constexpr std::uint64_t object_overhead = 512;

/// What an object of `size` bytes counts against the quota.
constexpr std::uint64_t cost_of(std::uint64_t size) noexcept {
  return size + object_overhead;
}

/// Objects in memory, for amnesia: opens no file and forgets everything with the process. Reads
/// share the stored bytes, which were verified when they came. `quota` 0 = no bound.
std::unique_ptr<backend> make_ram_backend(std::uint64_t quota, const core::clock& clock);

} // namespace ron::storage
