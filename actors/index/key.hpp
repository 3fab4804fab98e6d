#pragma once

#include "core/error.hpp"
#include "core/ids.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace ron::index {

/// What can be resolved: a name, or an object by its id.
struct resolve_key {
  std::string name{};         ///< canonical; empty = by `cid`
  core::cid cid{};
  std::uint64_t version = 0;  ///< only this version of the name will do; 0 = the current one
};

/// Reads `name:<name>`, `b3:<64 hex>` or, for people, a bare name. Error: bad_request.
core::result<resolve_key> parse_key(std::string_view text);

} // namespace ron::index
