#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace ron::core::crypto {

/// Overwrites a secret in a way the compiler may not remove. Any thread.
void secure_wipe(std::span<std::uint8_t> secret) noexcept;

/// Overwrites and empties a secret text.
void secure_wipe(std::string& secret) noexcept;

} // namespace ron::core::crypto
