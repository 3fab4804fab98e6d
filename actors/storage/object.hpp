#pragma once

#include "core/bytes.hpp"
#include "core/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

/// What is said about objects. Pure values; shared by machines, back ends and messages.
namespace ron::storage {

/// How an object is.
enum class object_state : std::uint8_t {
  complete = 1,    ///< as far as anybody knows
  quarantined = 2, ///< stored bytes did not hash to their id; good groups are still served, and
                   ///< the next PUT of the same bytes replaces all of them
};

/// What is known about a stored object without reading it.
struct object_info {
  core::cid cid;
  std::uint64_t size = 0;
  object_state state = object_state::complete;
  std::uint32_t pins = 0;
  std::uint32_t holders = 0;     ///< tenants that have put it
  std::int64_t last_put_ms = 0;  ///< wall clock
};

/// The outcome of an upload.
struct put_result {
  core::cid cid;
  std::uint64_t size = 0;
  bool existed = false; ///< this tenant held it before (200 instead of 201)
};

/// The longest page of a list of objects.
inline constexpr std::size_t page_max = 1'000;

/// One page of a list of objects, in the order of their ids.
struct object_page {
  std::vector<object_info> items;
  std::optional<core::cid> next; ///< cursor: last id of the page; nothing = that was all
};

/// Verified bytes of an object.
struct chunk {
  core::bytes data;              ///< at least one byte unless the object is empty
  std::uint64_t object_size = 0;
};

} // namespace ron::storage
