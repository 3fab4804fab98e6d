#pragma once

#include "core/bytes.hpp"
#include "core/hash.hpp"
#include "core/ids.hpp"
#include "core/store/transaction.hpp"
#include "storage/verified_nodes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace ron::storage {

/// Whether a read may wait for a disk.
enum class patience : bool { none, any };

/// A copy of a value of `view`; nothing if a page of it is not in memory and nobody may wait, empty
/// if the disk has lost it.
inline std::optional<core::bytes> copy_of(const core::store::read_view& view, core::byte_view v,
                                          patience p) {
  core::slab to{v.size()};
  switch (view.copy(v, to.room(), p == patience::any)) {
    case core::store::copied::yes: break;
    case core::store::copied::not_in_memory: return std::nullopt;
    case core::store::copied::unreadable: return core::bytes{};
  }
  to.commit(v.size());
  return to.cut(0, v.size());
}

/// A group and the nodes above it, copied out of the map: what is verified is what is served.
struct group_copy {
  core::bytes data;
  core::b3::tree_path path;
  std::vector<std::uint8_t> nodes; ///< of the path, in its order; shorter if one is missing ...
  bool top_verified = false;       ///< ... or this: the last one was verified before

  bool verify(const core::cid& c, std::uint64_t size, std::uint64_t group) const {
    return core::b3::verify_group(c.hash, size, group, data.view(),
                            core::b3::nodes_above{path, nodes, top_verified});
  }
  /// Of the path as far as it was verified now.
  void remember(verified_nodes& in, std::uint64_t number) const {
    constexpr auto one = core::b3::node_bytes;
    const std::span all{nodes};
    const auto count = all.size() / one - (top_verified ? 1 : 0);
    for (std::size_t i = 0; i < count; ++i)
      in.put(number, path.steps[i].index, all.subspan(i * one).first<one>());
  }
};

} // namespace ron::storage
