#pragma once

#include "core/store/check.hpp"

namespace ron::storage {

/// Checks a whole store of objects: the bytes of every object hash to its id, the stored tree is
/// the one of its bytes, records match their checksums, and holders, pins and totals agree with
/// the records. Counts "objects", "groups", "bytes", "quarantined". One line per damaged object
/// names its damaged groups. Holds one group and one page of the tree at a time, and eight bytes
/// per object. Errors: those of `snapshot::open`.
core::result<void> verify_store(const std::string& path, core::store::check_log& log);

} // namespace ron::storage
