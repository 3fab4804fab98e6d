#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/hash.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

namespace ron::storage {

/// A whole group of an upload that is not its last one, with the nodes that it completed.
struct full_group {
  core::bytes data;
  std::vector<std::uint8_t> nodes; ///< in the order of the outboard, follows the group before
};

/// What is left when an upload has ended, and its name.
struct finished_upload {
  core::cid cid;
  std::uint64_t size = 0;
  core::bytes last;                ///< the last group; empty only if the object is
  std::vector<std::uint8_t> nodes;
};

/// Turns the pieces of an upload into groups and their tree in one pass: each byte is copied once
/// and hashed once. Holds one group, and those that `next` has not taken yet. Pure.
class put_assembler {
public:
  explicit put_assembler(std::uint64_t object_bytes_max) noexcept : size_max_(object_bytes_max) {}

  /// Adds a piece of any size. Error: body_cap, and the upload has failed.
  core::result<void> add(core::byte_view piece);
  /// The next whole group, to be called until it gives nothing. The last group of an object does
  /// not come this way, because nobody knows that it is the last.
  std::optional<full_group> next();
  /// Ends the upload. Nothing can be added after it; no group is left in `next`.
  finished_upload finish();

  /// Bytes added so far.
  std::uint64_t size() const noexcept { return size_; }

private:
  void close_group();

  std::uint64_t size_max_;
  std::uint64_t size_ = 0;
  core::slab group_;               ///< being filled; no memory between groups
  core::b3::tree_builder tree_;
  std::deque<full_group> ready_;
};

} // namespace ron::storage
