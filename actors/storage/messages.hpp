#pragma once

#include "core/actor/atoms.hpp"
#include "core/clock.hpp"
#include "storage/object.hpp"
#include "storage/replication_stats.hpp"
#include "storage/scrub.hpp"
#include "storage/stats.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <cstdint>
#include <optional>

namespace ron::storage {

/// Begins an upload. It belongs to the replica that opened it: all its messages go to the replica
/// of the same shard.
struct open_put {
  core::tenant tenant;               ///< who will hold the object; zero = the operator
  std::optional<core::cid> expected; ///< the upload fails with digest_mismatch if it is another
  core::instant deadline{};          ///< the upload is thrown away when it is not finished by then
  bool replica = false;              ///< a copy for another node, `tenant` is its store
};

/// The name of an upload; never used again.
struct put_handle {
  std::uint64_t id = 0;
};

/// The next bytes of an upload, in any pieces. The answer is the credit for the next piece: it
/// comes late while the store is behind. One piece at a time.
struct put_write {
  std::uint64_t id = 0;
  core::bytes data;
};

/// No more bytes: name, check and keep what was written.
struct put_commit {
  std::uint64_t id = 0;
};

/// Throws an upload away; one that is not there is no error.
struct put_abort {
  std::uint64_t id = 0;
};

/// Asks about an object.
struct head_object {
  core::cid cid;
};

/// Asks for bytes of an object from `offset` on. The answer does not go beyond the end of the
/// 64 KiB group that `offset` lies in; what is wanted beyond it the store may read ahead.
struct read_object {
  core::cid cid;
  std::uint64_t offset = 0;
  std::uint64_t wanted = 65'536;
};

/// Takes a tenant's hold off an object; the last one frees it. The zero tenant (the operator)
/// takes off all holds.
struct del_object {
  core::cid cid;
  core::tenant tenant;
};

/// One pin more; a pinned object cannot be deleted.
struct pin_object {
  core::cid cid;
};

/// One pin less; an object without pins is not_found.
struct unpin_object {
  core::cid cid;
};

/// Asks for a page of pinned objects.
struct list_pins {
  std::optional<core::cid> after; ///< cursor; nothing = from the start
  std::uint32_t limit = 100;      ///< 1..`page_max`
};

/// Asks how the scrub of the store is; `start` begins a pass.
struct scrub_store {
  bool start = false;
};

/// Keeps an object for another node, if it is here.
struct keep_copy {
  core::cid cid;
  store_id node;
};

/// Ends that. An object that a name points at stays.
struct release_copy {
  core::cid cid;
  store_id node;
  bool named = false;
};

/// Asks for the id of the store.
struct identify_store {};
struct store_identity {
  store_id id;
};

/// Asks how replication is.
struct ask_replication {};

/// The storage role on one shard: content-addressed objects. Every byte it hands out was verified
/// against its id. Errors of every handler: busy (mailbox, write queue or reader pool full: try
/// again), degraded (the store is away).
using storage_actor = caf::typed_actor<
  // Begins an upload. Error: busy (too many open uploads).
  caf::replies_to<open_put>::with<put_handle>,
  // Adds bytes; answered when more may come. Errors end the upload: body_cap (object-bytes-max),
  // store_quota, disk_full, timeout (it was not there any more), bad_request (a piece before the
  // credit of the last one).
  caf::replies_to<put_write>::with<atom::ok>,
  // Answered when the object is durable. Errors: digest_mismatch, timeout, as put_write.
  caf::replies_to<put_commit>::with<put_result>,
  caf::replies_to<put_abort>::with<atom::ok>,
  // Error: not_found.
  caf::replies_to<head_object>::with<object_info>,
  // Errors: not_found, range_not_satisfiable (offset beyond the end), bad_digest.
  caf::replies_to<read_object>::with<chunk>,
  // Errors: not_found (the tenant does not hold it), conflict (pinned).
  caf::replies_to<del_object>::with<atom::ok>,
  // Error: not_found.
  caf::replies_to<pin_object>::with<object_info>,
  caf::replies_to<unpin_object>::with<object_info>,
  caf::replies_to<list_pins>::with<object_page>,
  // Error: degraded (this store is not scrubbed).
  caf::replies_to<scrub_store>::with<scrub_status>,
  // True if it is kept. Error: store_quota.
  caf::replies_to<keep_copy>::with<bool>,
  // Error: bad_digest (the record is damaged).
  caf::replies_to<release_copy>::with<atom::ok>,
  caf::replies_to<identify_store>::with<store_identity>,
  // Error: degraded (there are no storage.peers).
  caf::replies_to<ask_replication>::with<replication_stats>,
  // The whole store, all shards together.
  caf::replies_to<atom::status>::with<storage_stats>,
  // INTERNAL: looks for uploads that nobody writes to.
  caf::reacts_to<atom::tick>>;

} // namespace ron::storage

// Local to a process: between nodes object bytes travel over OAP/1.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::open_put)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::put_handle)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::put_write)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::put_commit)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::put_abort)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::put_result)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::head_object)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::read_object)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::del_object)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::pin_object)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::unpin_object)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::list_pins)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::scrub_store)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::scrub_status)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::object_info)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::object_page)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::chunk)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::keep_copy)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::release_copy)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::identify_store)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::store_identity)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::ask_replication)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::replication_stats)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::storage::storage_stats)
