#pragma once

#include "core/actor/actor.hpp"
#include "core/actor/helper_pool.hpp"
#include "core/limits.hpp"
#include "core/live.hpp"
#include "storage/backend.hpp"
#include "storage/messages.hpp"
#include "storage/put_assembler.hpp"
#include "storage/replicator.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <unordered_map>

namespace ron::storage {

/// Bounds of the role.
struct storage_limits {
  core::knob<std::uint64_t> object_bytes_max = core::limits::object_bytes_max_default;
  std::uint32_t puts_max = 256;             ///< open uploads, all shards together
  std::chrono::milliseconds put_idle{30'000}; ///< an upload that is not written to is collected
  std::chrono::milliseconds tick{1'000};      ///< how often uploads are looked at
  /// Bytes of one upload on their way to the disk before its next credit waits ...
  std::uint64_t put_window = 4u << 20;
  /// ... and of all uploads together; beyond it an upload has one piece on its way.
  std::uint64_t pending_max = 8u << 20;
};

/// What the storage actors of all shards share.
struct storage_parts {
  std::shared_ptr<backend> db;
  std::shared_ptr<core::helper_pool> readers; ///< for bytes that are not in memory
  storage_limits limits;
  std::shared_ptr<scrubber> scrub; ///< of the whole store; empty = never
  std::shared_ptr<replicator> copies{}; ///< of the whole store; empty = none elsewhere
  std::shared_ptr<core::helper_pool> movers{}; ///< threads for it
};

/// An upload between `open_put` and `put_commit`.
struct open_upload {
  open_upload(std::uint64_t object_bytes_max, const open_put& o, std::unique_ptr<upload> u)
    : assembler(object_bytes_max), to(std::move(u)), holder(o.tenant), expected(o.expected),
      deadline(o.deadline) {
    // nop
  }

  put_assembler assembler;
  std::unique_ptr<upload> to;
  core::tenant holder;
  std::optional<core::cid> expected;
  core::instant deadline;
  core::instant last_used{};
  std::uint64_t in_flight = 0;                  ///< bytes on their way to the disk
  std::optional<core::error> failed;
  caf::typed_response_promise<atom::ok> waiting; ///< for credit; not pending = nobody waits
};

/// One replica of the storage role; there is one on every shard. It owns the uploads that were
/// opened on its shard, objects live in the back end. Ends its uploads when it ends.
struct storage_state {
  static constexpr const char* name = "storage";
  storage_parts parts;
  std::unordered_map<std::uint64_t, open_upload> puts;
  std::uint64_t ticks = 0;
  std::size_t moving = 0; ///< steps of the replicator under way
};

using storage_self = core::actor_self<storage_actor, storage_state>;

/// Bytes that are in memory are answered at once, others by a helper thread; a write is answered
/// when the back end has it.
storage_actor::behavior_type make_storage(storage_self self, storage_parts parts);

} // namespace ron::storage
