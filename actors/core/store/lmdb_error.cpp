#include "core/store/lmdb_error.hpp"

#include <lmdb.h>

#include <cerrno>
#include <string>

namespace ron::core::store {

namespace {

ec code_of(int code) noexcept {
  switch (code) {
    case ENOSPC:
    case EDQUOT:
      return ec::disk_full;
    case MDB_MAP_FULL:
      return ec::store_quota;
    case MDB_NOTFOUND:
      return ec::not_found;
    case MDB_KEYEXIST:
      return ec::conflict;
    case MDB_READERS_FULL:
      return ec::busy;
    case MDB_BAD_VALSIZE:
    case MDB_CORRUPTED:
    case MDB_PAGE_NOTFOUND:
    case MDB_INVALID:
    case MDB_VERSION_MISMATCH:
    case MDB_INCOMPATIBLE:
    case MDB_BAD_TXN:
    case MDB_BAD_DBI:
    case EINVAL:
      return ec::internal;
    default:
      return ec::degraded;
  }
}

} // namespace

error lmdb_error(int code, std::string_view what) {
  if (code == MDB_NOTFOUND)
    return error{ec::not_found, {}};
  return error{code_of(code), std::string{"store: "}.append(what) + ": " + ::mdb_strerror(code)};
}

} // namespace ron::core::store
