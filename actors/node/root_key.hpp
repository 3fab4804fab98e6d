#pragma once

#include "node/start_failure.hpp"

#include <array>
#include <cstdint>
#include <string>

namespace ron::node {

/// The root key in a file of 64 hex digits (`caps.root-keys`). Fails, with the file's name and not
/// with what is in it, if it cannot be read, holds anything else, or others may read it.
started<std::array<std::uint8_t, 32>> read_root_key(const std::string& path);

} // namespace ron::node
