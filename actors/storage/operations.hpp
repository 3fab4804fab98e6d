#pragma once

#include "core/actor/downstream.hpp"
#include "storage/messages.hpp"
#include "transport/operation.hpp"

#include <functional>
#include <vector>

namespace ron::storage {

/// Asks whether a name points at an object, on behalf of a request; calls `then` exactly once, on
/// the shard of the request, at the latest at its deadline.
using name_check = std::function<void(const transport::exchange_ptr& x, const core::cid& c,
                                      std::function<void(core::result<bool>)> then)>;

/// What the storage role serves on either wire: objects by id, streamed in and out in pieces of at
/// most 64 KiB, their removal and their pins. Shapes and statuses are those of the HTTP surface,
/// sections 1 and 7. `named` may be empty where the node has no index: then only pins hold an
/// object. A name that is given while its object is being deleted may come too late, and then
/// points at nothing, as one may that is given to an object that never was here.
std::vector<transport::operation> operations(core::downstream<storage_actor> storage,
                                             name_check named);

/// What the role adds to the admin listener: `POST /admin/scrub` begins a scrub of the store,
/// `GET /admin/scrub` says how it is (over OAP `o.scrub` with `start`), `GET /admin/replication`
/// how replication is (`o.replication`).
std::vector<transport::operation> admin_operations(core::downstream<storage_actor> storage);

} // namespace ron::storage
