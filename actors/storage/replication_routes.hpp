#pragma once

#include "storage/operations.hpp"

#include <functional>
#include <vector>

namespace ron::storage {

/// Takes the body of a request in as an object that is kept for another node.
using start_copy = std::function<void(const transport::exchange_ptr& x, const store_id& node,
                                      const core::cid& cid)>;

/// What nodes that replicate to each other ask of each other, over OAP alone and with an
/// operator's capability. `cid` and `store` (the id of the caller's store) in the args:
///
/// - `o.peer` (no args): which store is this? `{store}`
/// - `o.keep`: keep this object for me, if it is here whole. `{kept}`
/// - `o.replica`: as `o.put`, but kept for the caller and copied no further.
/// - `o.release`: I need it no longer. It goes unless others hold it, it is pinned, or named here.
///
/// and `o.replication`, which says how replication is.
std::vector<transport::operation>
replication_operations(core::downstream<storage_actor> storage, name_check named,
                       start_copy copy);

/// `GET /admin/replication`.
transport::operation replication_admin_operation(core::downstream<storage_actor> storage);

} // namespace ron::storage
