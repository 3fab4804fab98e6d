#pragma once

#include "core/error.hpp"
#include "core/hash.hpp"

#include <algorithm>
#include <cstdint>
#include <string>

namespace ron::storage {

/// Which part of which group answers a read.
struct read_plan {
  std::uint64_t group = 0;
  std::size_t skip = 0;   ///< bytes of the group before the first one wanted
  std::size_t length = 0; ///< bytes to hand out, 0 only if the object is empty
  std::uint64_t following = 0; ///< groups after it that are wanted, too
};

/// Plans a read of `wanted` bytes from `offset`, as far as there are so many. It stays inside one
/// group, because a group is what can be verified. Error: range_not_satisfiable beyond the end;
/// bad_request for no bytes.
inline core::result<read_plan> plan_read(std::uint64_t object_size, std::uint64_t offset,
                                         std::uint64_t wanted) {
  using namespace core;
  if (wanted == 0)
    return fail(ec::bad_request, "a read of no bytes");
  if (offset >= object_size && (offset > 0 || object_size > 0))
    return fail(ec::range_not_satisfiable,
                "the object has " + std::to_string(object_size) + " bytes");
  read_plan out;
  out.group = offset / b3::group_bytes;
  out.skip = static_cast<std::size_t>(offset % b3::group_bytes);
  const auto there = std::min(object_size - offset, wanted);
  const auto rest = b3::group_size(object_size, out.group) - out.skip;
  out.length = static_cast<std::size_t>(std::min<std::uint64_t>(rest, there));
  if (out.length < there)
    out.following = (offset + there - 1) / b3::group_bytes - out.group;
  return out;
}

} // namespace ron::storage
