#pragma once

#include "core/error.hpp"

#include <string_view>

namespace ron::core::store {

/// What LMDB or the system call below it returned, as our error: ENOSPC and EDQUOT -> disk_full, a
/// full map -> store_quota, not found -> not_found, an existing key -> conflict, no reader slot ->
/// busy, a key or value of a forbidden size or a damaged file -> internal, EIO and what is left ->
/// degraded. Only a miss carries no text.
error lmdb_error(int code, std::string_view what);

inline std::unexpected<error> lmdb_fail(int code, std::string_view what) {
  return std::unexpected<error>{lmdb_error(code, what)};
}

} // namespace ron::core::store
