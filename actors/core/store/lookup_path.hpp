#pragma once

#include "core/bytes.hpp"

#include <cstdint>
#include <string_view>

namespace ron::core::store {

/// The pages of a file of LMDB (data version 1), as far as they may be touched.
class page_source {
public:
  virtual ~page_source() = default;
  /// The bytes of a page, nullptr if it is not in memory or not there.
  virtual const std::uint8_t* at(std::uint64_t page) noexcept = 0;
  /// Bytes of a page of the file.
  virtual std::size_t page_bytes() const noexcept = 0;
};

/// How an entry is looked for.
enum class lookup : bool {
  exact, ///< the one with the key
  seek,  ///< the first one that is not before the key
};

/// True if all pages that LMDB walks through to look for `k` can be had: from the meta page of the
/// transaction `txn` through the tree of tables to the leaf. A value of more than half a page lies
/// in pages of its own, which are not looked at. False also where the file is not as expected and
/// where a `seek` leads into a next leaf. Nothing but `pages` is touched, and of that nothing out
/// of bounds, whatever lies in it. The page layout is that of LMDB 0.9 (mdb.c: MDB_page, MDB_node,
/// MDB_meta, MDB_db). Any thread.
bool path_in_memory(page_source& pages, std::uint64_t txn, std::string_view table, byte_view k,
                    lookup how) noexcept;

} // namespace ron::core::store
