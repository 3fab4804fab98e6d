#pragma once

#include "core/hash.hpp"
#include "core/store/key.hpp"
#include "core/store/transaction.hpp"
#include "storage/object.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

/// How objects lie in LMDB. Numbers are big-endian.
///
/// | table    | key                   | value                                              |
/// |----------|-----------------------|----------------------------------------------------|
/// | objects  | cid                   | record: which number, size, state, pins, holders   |
/// | holders  | cid, tenant           | last PUT, Unix ms u64                              |
/// | holders  | cid, id of a store    | the same, and u8 1: a copy for another node        |
/// | chunks   | number u64, group u32 | bytes of the group                                 |
/// | outboard | number u64, page u32  | up to 63 nodes of 64 bytes, in the outboard's order |
/// | loose    | number u64            | nothing: these chunks belong to no record          |
/// | totals   | "objects", "bytes"    | u64                                                |
/// | totals   | "identity"            | id of the store, 16 bytes                          |
/// | totals   | "walk"                | how far the walk of replication is                 |
/// | pins     | cid                   | nothing: the object has at least one pin           |
/// | work     | cid                   | duties u8: copy 1, repair 2; u64 per peer that has it |
/// | releases | cid                   | u8 1; u64 for each peer that was told of the DELETE |
///
/// A record ends with eight bytes of a hash of its id and itself, because nothing else vouches for
/// a size or a pin. Format 1 had neither that nor the table of pins.
///
/// An upload's number is loose from its first group to the commit that writes its record; what is
/// loose at start, or when its upload has gone, is collected.
namespace ron::storage::layout {

namespace lmdb = core::store;

inline constexpr std::uint32_t format = 2;
inline constexpr std::uint32_t min_reader = 2;

inline constexpr lmdb::table objects{0};
inline constexpr lmdb::table holders{1};
inline constexpr lmdb::table chunks{2};
inline constexpr lmdb::table outboard{3};
inline constexpr lmdb::table loose{4};
inline constexpr lmdb::table totals{5};
inline constexpr lmdb::table pins{6};
inline constexpr lmdb::table work{7};
inline constexpr lmdb::table releases{8};
std::vector<std::string> table_names();

/// With LMDB's header a page of nodes fills one page of the file.
inline constexpr std::uint64_t nodes_per_page = 63;
inline constexpr std::size_t node_page_bytes = nodes_per_page * core::b3::node_bytes;

/// What is stored under an object's id.
struct record {
  std::uint64_t number = 0;
  std::uint64_t size = 0;
  object_state state = object_state::complete;
  std::uint32_t pins = 0;
  std::uint32_t holders = 0;
  std::int64_t last_put_ms = 0;

  object_info info(const core::cid& c) const {
    return {c, size, state, pins, holders, last_put_ms};
  }
};

/// Brings a file of format 1 up to date.
core::result<void> migrate(lmdb::transaction& t, std::uint32_t old_format);

/// The record that lies under an id. Error: bad_digest for one that is damaged.
core::result<record> decode(const core::cid& c, core::byte_view value);

/// Errors: not_found, bad_digest (the record is damaged).
core::result<record> load(const lmdb::read_view& view, const core::cid& c);
core::result<record> load(lmdb::transaction& t, const core::cid& c);
/// Keeps the table of pins in step.
core::result<void> save(lmdb::transaction& t, const core::cid& c, const record& r);
/// Removes record, holds, pins and what was to be done with it; a release stays. Error: not_found.
core::result<void> remove(lmdb::transaction& t, const core::cid& c);

/// Pinned objects after the cursor, at most `limit`.
core::result<object_page> pinned(const lmdb::read_view& view,
                                 const std::optional<core::cid>& after, std::size_t limit);

/// Takes a tenant's hold off an object, or all holds for the zero tenant. Returns the bytes that
/// became free: 0 = others hold it. Errors: not_found, conflict (pinned), bad_digest.
core::result<std::uint64_t> remove_hold(lmdb::transaction& t, const core::cid& c,
                                        const core::tenant& holder);

/// Tenants that hold an object, counted.
core::result<std::uint32_t> count_holders(lmdb::transaction& t, const core::cid& c);

inline lmdb::key chunk_key(std::uint64_t number, std::uint64_t group) noexcept {
  return lmdb::key::of(number, static_cast<std::uint32_t>(group));
}
inline lmdb::key holder_key(const core::cid& c, const core::tenant& holder) noexcept {
  lmdb::key k;
  k.add(c.view()).add(holder.view());
  return k;
}

/// Number of objects and bytes stored, kept up to date by every commit.
struct sums {
  std::uint64_t objects = 0;
  std::uint64_t bytes = 0;
};
core::result<sums> load_sums(const lmdb::read_view& view);
/// Adds to the sums; wraps as unsigned numbers do.
core::result<void> add_to_sums(lmdb::transaction& t, std::uint64_t objects, std::uint64_t bytes);

/// The first number that was never used in this file.
core::result<std::uint64_t> next_number(const lmdb::read_view& view);

/// Removes up to `max` chunks and outboard pages of a number; true when none is left.
core::result<bool> remove_some(lmdb::transaction& t, std::uint64_t number, std::size_t max);

} // namespace ron::storage::layout
