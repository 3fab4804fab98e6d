#pragma once

#include "core/hash.hpp"
#include "core/store/key.hpp"
#include "mailbox/layout.hpp"

#include <cstdint>
#include <optional>

namespace ron::test {

/// What formats 1 and 2 put behind the values of mail, as a `core::store::value_end`.
inline std::optional<std::uint64_t> old_seal(const core::store::log_step& s) {
  if (s.to == mailbox::layout::counters)
    return std::nullopt;
  core::b3::hasher h;
  return core::store::load<std::uint64_t>(h.update(s.key).update(s.value).finish());
}

} // namespace ron::test
