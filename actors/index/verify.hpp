#pragma once

#include "core/store/check.hpp"

namespace ron::index {

/// Checks a whole store of names: every record decodes and has a canonical name, no version is
/// above the counter, every manifest is one of its object, the table of which names point at an
/// object agrees with the names. Counts "names", "manifests". A record has no checksum of its own:
/// a change of its time or version that stays plausible is not noticed.
/// Errors: those of `snapshot::open`.
core::result<void> verify_store(const std::string& path, core::store::check_log& log);

} // namespace ron::index
