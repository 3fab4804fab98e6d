#pragma once

#include "core/limits.hpp"

#include <cstdint>
#include <string_view>

namespace ron::core::mailbox_bounds {

/// The bound of a new actor of `type` (its State::name, such as "omnigate.semaphore"): what `set`
/// said for the whole name, else for the part behind the last dot, else 64 for the types
/// `connection`, `stream` and `lookup`, else 256. Any thread.
std::uint32_t of(std::string_view type) noexcept;

/// Overrides the bound of `type` (configuration key `mailbox-bounds.<type>`), 1 ...
/// `limits::mailbox_bound_max`, clamped. Concerns actors spawned later; `directory::set_bound`
/// changes a live one. Call before the first actor is spawned: not synchronised with `of`.
void set(std::string_view type, std::uint32_t bound);

/// The bound of types that nobody has said anything about (key `mailbox-bounds.default`), clamped
/// as by `set`. Same rule about when.
void set_fallback(std::uint32_t bound) noexcept;

/// Forgets all overrides; for tests.
void reset() noexcept;

} // namespace ron::core::mailbox_bounds
