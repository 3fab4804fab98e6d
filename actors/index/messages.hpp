#pragma once

#include "core/actor/atoms.hpp"
#include "index/key.hpp"
#include "index/record.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace ron::index {

/// Asks for one name.
struct find_name {
  std::string name; ///< canonical
};

/// Asks for a page of names.
struct list_names {
  std::string prefix;
  std::string after; ///< cursor; empty = from the start
  std::uint32_t limit = 100;
};

/// Stores a manifest that no name came with.
struct put_manifest {
  core::cid cid;
  std::string manifest; ///< checked, JSON text
};

/// Asks for the manifest of an object.
struct find_manifest {
  core::cid cid;
};

/// Asks whether a name points at an object.
struct find_named {
  core::cid cid;
};

/// Who is known to hold an object.
struct provider {
  std::string id;
  std::vector<std::string> addrs;
  std::string region;
  double score = 0;
};

/// Where an answer came from.
enum class found_in : std::uint8_t { cache, store, dht };
std::string_view to_string(found_in f) noexcept;

/// What a key leads to.
struct resolution {
  core::cid cid;
  std::uint64_t version = 0;  ///< of the name; 0 for a `b3:` key
  std::string manifest;       ///< JSON text; empty = none is known
  std::vector<provider> providers;
  found_in source = found_in::store;
  std::uint32_t hops = 0;
};

/// A manifest as JSON text.
struct manifest_text {
  std::string json;
};

/// The index role on one shard: names with versions, manifests, resolution.
/// Errors of every handler: busy (mailbox, write queue or the line for the disk full), degraded
/// (the store is away).
using index_actor = caf::typed_actor<
  // Writes a name when its precondition holds. Errors: precondition_failed, store_quota, disk_full.
  caf::replies_to<put_name>::with<name_written>,
  // Removes a name when its precondition holds. Errors: not_found, precondition_failed.
  caf::replies_to<del_name>::with<name_record>,
  // One name. Error: not_found.
  caf::replies_to<find_name>::with<name_record>,
  // A page of names.
  caf::replies_to<list_names>::with<name_page>,
  // Name or id -> manifest and providers. Error: not_found when nothing is known.
  caf::replies_to<resolve_key>::with<resolution>,
  // Stores a manifest. Errors: store_quota, disk_full.
  caf::replies_to<put_manifest>::with<atom::ok>,
  // The manifest of an object. Error: not_found.
  caf::replies_to<find_manifest>::with<manifest_text>,
  // True if at least one name points at the object.
  caf::replies_to<find_named>::with<bool>>;

} // namespace ron::index

// Local to a process: between nodes the same is asked over OAP/1.
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::put_name)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::del_name)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::find_name)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::list_names)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::resolve_key)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::put_manifest)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::find_manifest)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::find_named)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::name_record)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::name_written)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::name_page)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::resolution)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::index::manifest_text)
