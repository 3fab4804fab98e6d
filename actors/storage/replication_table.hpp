#pragma once

#include "core/store/transaction.hpp"
#include "storage/lmdb_layout.hpp"
#include "storage/replication_work.hpp"

#include <optional>
#include <vector>

/// The work list of replication in LMDB; the tables are described in lmdb_layout.hpp.
namespace ron::storage::layout {

/// Copies and repairs after the cursor, at most `limit`, in the order of the ids.
core::result<std::vector<work_item>> work_after(const lmdb::read_view& view,
                                                const std::optional<core::cid>& after,
                                                std::size_t limit);
/// The same of releases.
core::result<std::vector<work_item>> releases_after(const lmdb::read_view& view,
                                                    const std::optional<core::cid>& after,
                                                    std::size_t limit);

/// Notes that all peers have to get an object, and no peer has to let it go.
core::result<void> note_copy(lmdb::transaction& t, const core::cid& c);
core::result<void> note_repair(lmdb::transaction& t, const core::cid& c);
/// Notes that all peers may let an object go, and none has to get it. False: not noted, the list
/// has `max` entries.
core::result<bool> note_release(lmdb::transaction& t, const core::cid& c, std::uint64_t max);
/// Writes off what was done. What the list does not have any more is no error.
core::result<void> settle_work(lmdb::transaction& t, const settlement& s);

/// The value of a hold: since when, and whether it is another node's.
lmdb::key hold_value(std::int64_t now_ms, bool of_node) noexcept;
/// True if a hold is another node's: its copy lies here.
bool of_node(core::byte_view hold) noexcept;
/// True if a tenant of this node holds the object; copies for other nodes do not count.
core::result<bool> is_own(lmdb::transaction& t, const core::cid& c);

/// Takes the next step of the walk, see `backend::walk`.
core::result<walk_state> walk(lmdb::transaction& t, const walk_order& order);
/// The next walk begins anew, whatever its mark.
core::result<void> forget_walk(lmdb::transaction& t);

/// The id of the store, made by the first call.
core::result<store_id> identity(lmdb::transaction& t);

} // namespace ron::storage::layout
