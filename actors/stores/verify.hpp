#pragma once

#include "core/store/check.hpp"
#include "stores/places.hpp"

namespace ron::stores {

/// Checks one store from end to end and reports to `log`, see the `verify_store` of each role. It
/// is read in a process of its own, because LMDB trusts the structure of its file: should that end
/// the process, it is one more line of damage. To be called while this process has one thread.
/// Errors: those of `core::store::snapshot::open`; degraded if no process can be made.
core::result<void> verify(const place& which, core::store::check_log& log);

} // namespace ron::stores
