#pragma once

#include "core/actor/actor.hpp"
#include "core/actor/helper_pool.hpp"
#include "index/cache.hpp"
#include "index/messages.hpp"
#include "index/store.hpp"

#include <memory>

namespace ron::index {

/// What the index actors of all shards share.
struct index_parts {
  std::shared_ptr<store> db;
  std::shared_ptr<name_cache> cache;
  const core::clock* clock = nullptr;
  std::shared_ptr<core::helper_pool> readers{}; ///< for what is not in memory; not of a RAM store
};

/// One replica of the index role; there is one on every shard. It keeps nothing itself: names live
/// in the store, what was looked up lately in the cache.
struct index_state {
  static constexpr const char* name = "index";
  index_parts parts;
};

using index_self = core::actor_self<index_actor, index_state>;

/// What is in memory is answered at once, what lies on a disk when a helper thread has read it;
/// with too many that wait for one the error is busy. A write is answered when the store has it and
/// the cache forgot it.
index_actor::behavior_type make_index(index_self self, index_parts parts);

} // namespace ron::index
