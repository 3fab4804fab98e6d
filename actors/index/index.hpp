#pragma once

#include "core/actor/actor.hpp"
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
};

/// One replica of the index role; there is one on every shard. It keeps nothing itself: names live
/// in the store, what was looked up lately in the cache.
struct index_state {
  static constexpr const char* name = "index";
  index_parts parts;
};

using index_self = core::actor_self<index_actor, index_state>;

/// Reads are answered at once. A write is answered when the store has it and the cache forgot it.
index_actor::behavior_type make_index(index_self self, index_parts parts);

} // namespace ron::index
