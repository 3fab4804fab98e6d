#pragma once

#include "core/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

/// What replication has to do, as the stores keep it. Pure values.
namespace ron::storage {

/// What a store has to do with an object for the sake of its copies.
enum class duty : std::uint8_t {
  copy = 1,    ///< other nodes have to get it
  repair = 2,  ///< bytes here are damaged: another node has to give it; comes before a copy
  release = 3, ///< it was deleted here: other nodes need not keep it for this one any longer
};

/// A peer in the work list: the first eight bytes of the hash of its address.
using peer_key = std::uint64_t;

/// The most peers that a row of the work list remembers (`storage.peers` has at most 15).
inline constexpr std::size_t served_max = 16;

/// A row of the work list. An object is there once for `copy` and `repair` together, `repair`
/// first, or once for `release`.
struct work_item {
  core::cid cid;
  duty what = duty::copy;
  std::vector<peer_key> served{}; ///< copy and release: peers that have done their part
  bool operator==(const work_item&) const = default;
};

/// A part of a duty that has been done: at one peer, or altogether.
struct settlement {
  core::cid cid;
  duty what = duty::copy;
  std::optional<peer_key> peer{};
  /// There was nothing to do. It counts if that still holds: what was put, or found damaged, since
  /// somebody looked is to be done.
  bool pointless = false;
  bool operator==(const settlement&) const = default;
};

/// What a store notes in its work list.
struct replication_mode {
  bool copies = false; ///< every put
  bool others = false; ///< damage, and what was deleted
  /// Deletions that wait for peers; what is deleted beyond it is not told to them, and counted.
  std::uint64_t releases_max = 1'000'000;
};

/// Who keeps a copy, and for whom, is told by the id of a store: 16 random bytes, made once.
using store_id = core::tenant;

/// One step of the walk that puts every object of this node's own on the work list.
struct walk_order {
  std::uint64_t mark = 0;   ///< of `storage.rf` and `storage.peers`; a new one begins a walk
  bool again = false;       ///< begin a walk though none is due
  std::uint32_t limit = 64; ///< objects looked at
};

/// How far that walk is; durable.
struct walk_state {
  std::uint64_t mark = 0;
  bool running = false;
  bool audit = false;        ///< not the first one with this mark
  std::uint64_t walked = 0;  ///< objects looked at
  std::optional<core::cid> place{}; ///< the last one of them
  bool operator==(const walk_state&) const = default;
};

} // namespace ron::storage
