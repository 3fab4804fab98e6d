#pragma once

#include "core/bytes.hpp"
#include "core/ids.hpp"
#include "core/limits.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

/// BLAKE3: whole hashes, and the tree above groups of 64 KiB that lets anybody check a range of an
/// object against its id without the rest of it.
///
/// The tree is the one of the BLAKE3 paper (section 2.1), cut at the level of groups: a *group* is
/// 64 chunks of 1 KiB, the last one may be shorter. Its chaining value (cv) is what the inner nodes
/// above are made of; an inner *node* is the cvs of its two children, 64 bytes. An object of n
/// groups has n - 1 nodes, its *outboard*.
///
/// Order of the outboard: post-order, which can be appended to while the object is still coming in.
/// The node over the full subtree of 2^h groups that starts at group a has index
/// a - popcount(a) + 2^h - 2; the nodes over the incomplete right edge follow, the root last.
///
/// Pure functions and values; any thread, no object is shared between threads.
namespace ron::core::b3 {

/// A hash or a chaining value.
using digest = std::array<std::uint8_t, 32>;

inline constexpr std::size_t group_bytes = limits::chunk_bytes;
inline constexpr std::size_t node_bytes = 64;

/// Number of groups of an object; an empty object has one, which is empty.
constexpr std::uint64_t group_count(std::uint64_t object_size) noexcept {
  return object_size == 0 ? 1 : (object_size - 1) / group_bytes + 1;
}
/// Number of nodes of an object's outboard.
constexpr std::uint64_t node_count(std::uint64_t object_size) noexcept {
  return group_count(object_size) - 1;
}
/// Size of one group, `group < group_count(object_size)`.
constexpr std::size_t group_size(std::uint64_t object_size, std::uint64_t group) noexcept {
  auto rest = object_size - group * group_bytes;
  return rest < group_bytes ? static_cast<std::size_t>(rest) : group_bytes;
}

/// The hash of bytes that come in pieces. Large pieces are hashed with all lanes of the processor.
class hasher {
public:
  hasher() noexcept;
  /// Key derivation mode; `context` is a constant of the program, never data.
  explicit hasher(std::string_view derive_context) noexcept;

  hasher& update(byte_view v) noexcept;
  /// The hash of all bytes so far; more may follow.
  digest finish() const noexcept;

private:
  alignas(8) std::array<std::byte, 1'912> state_;
};

/// The hash of `v`.
digest hash(byte_view v) noexcept;
/// The content id of `v`.
cid cid_of(byte_view v) noexcept;
/// 32 bytes of key material for the purpose `context`.
digest derive_key(std::string_view context, byte_view material) noexcept;
/// The tenant that owns all names whose first part is `first_part` (already canonical).
tenant tenant_of(std::string_view first_part) noexcept;

/// The chaining value of group `index`. `v` is `group_bytes` long, or shorter but not empty if it
/// is the last of several groups. (The only group of an object has no cv: it hashes to the id.)
digest group_cv(std::uint64_t index, byte_view v) noexcept;

/// The chaining value of a node, or the object's hash if it is the root.
digest parent_cv(std::span<const std::uint8_t, node_bytes> node, bool root) noexcept;

/// Builds the tree of one object in one pass.
class tree_builder {
public:
  /// Adds bytes in pieces of any size. Not to be mixed with `add_group` in mid-group.
  void feed(byte_view v);
  /// Adds a whole group without copying it: `group_bytes` long; a shorter one is the last.
  void add_group(byte_view v);

  /// Nodes that were completed since the last call, in the order of the outboard, 64 bytes each.
  /// Empty them now and then: they grow by 1/1024 of what was added.
  std::vector<std::uint8_t> take_nodes() noexcept { return std::exchange(nodes_, {}); }

  /// Bytes added so far.
  std::uint64_t size() const noexcept { return size_ + buffer_.size(); }

  /// The object's hash; completes the nodes of the right edge. Nothing can be added after it.
  digest finish();

private:
  void append_node(const digest& left, const digest& right);
  void push(const digest& cv);

  std::uint64_t groups_ = 0;
  std::uint64_t size_ = 0;            ///< bytes in finished groups
  digest first_root_{};               ///< the hash if group 0 stays alone
  std::vector<digest> stack_;         ///< cvs of full subtrees, largest first; log2(groups) at most
  std::array<std::uint8_t, node_bytes> last_{}; ///< the node made last: the root in the end
  std::vector<std::uint8_t> nodes_;
  std::vector<std::uint8_t> buffer_;  ///< start of a group that `feed` has not seen the end of
};

/// Where a verifier gets the nodes of an outboard: 64 readable bytes, or null when the node is
/// missing. The bytes must stay readable until the next call.
using node_reader = std::function<const std::uint8_t*(std::uint64_t index)>;

/// True if `v` is group `group` of the object with this hash and size. Hashes `v` and log2(groups)
/// nodes. False for a group that the object has not, or of another size.
bool verify_group(const digest& root, std::uint64_t object_size, std::uint64_t group, byte_view v,
                  const node_reader& nodes);

/// A node on the way from a group up to the root.
struct tree_step {
  std::uint64_t index = 0; ///< in the outboard
  bool right = false;      ///< we come from its right child
};

/// The nodes above one group, lowest first. Empty if the group is the only one.
struct tree_path {
  std::array<tree_step, 64> steps;
  std::size_t size = 0;
  std::span<const tree_step> view() const noexcept { return {steps.data(), size}; }
};

/// The way of `group` up to the root, `group < groups`.
tree_path path_of(std::uint64_t group, std::uint64_t groups) noexcept;

/// What is above a group: `nodes` are those of `path` from the lowest on, as far as needed.
struct nodes_above {
  tree_path path;
  std::span<const std::uint8_t> nodes; ///< `node_bytes` each
  bool top_verified = false; ///< the last of them was verified before; else it must be the root
};

/// As `verify_group` with the nodes in hand; `above.path` is that of the group.
bool verify_group(const digest& root, std::uint64_t object_size, std::uint64_t group, byte_view v,
                  const nodes_above& above) noexcept;

/// Checks the library against known answers and the tree against the library. False means that
/// nothing of this header can be trusted: a program does not start. About a millisecond.
bool self_test() noexcept;

} // namespace ron::core::b3
