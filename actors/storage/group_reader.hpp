#pragma once

#include "storage/group_copy.hpp"
#include "storage/lmdb_layout.hpp"
#include "storage/stats.hpp"
#include "storage/verified_cache.hpp"
#include "storage/verified_nodes.hpp"

#include <cstdint>
#include <optional>

namespace ron::storage {

/// Where the nodes above a group come from.
enum class outboard_from : bool { disk, memory };

/// Copies groups and the nodes above them out of LMDB, and remembers nodes that were verified and
/// pages of outboards that were read. Any thread.
class group_reader {
public:
  /// Its own caches are a small share of `verified_cache`, which is that of the groups.
  explicit group_reader(std::uint64_t verified_cache);
  void set_max(std::uint64_t verified_cache);

  /// Nothing if a page of it is not in memory and nobody may wait. What is missing or damaged does
  /// not verify. Who may wait has the disk begin with some of the `following` groups, too, that
  /// are wanted after it.
  std::optional<core::result<group_copy>> copy(const core::store::read_view& view,
                                               const layout::record& r, std::uint64_t group,
                                               std::uint64_t following, patience p,
                                               outboard_from from);
  /// A copy that was verified.
  void remember(const group_copy& copy, std::uint64_t number) { copy.remember(nodes_, number); }

  cache_stats outboards() const { return outboards_.stats(); }

private:
  /// A page of the outboard, empty if it is missing; nothing as above.
  std::optional<core::result<core::bytes>> outboard_page(const core::store::read_view& view,
                                                         const layout::record& r,
                                                         std::uint64_t page, patience p,
                                                         outboard_from from);

  verified_cache outboards_; ///< pages as they were read; nothing in them is taken as verified
  verified_nodes nodes_;
};

} // namespace ron::storage
