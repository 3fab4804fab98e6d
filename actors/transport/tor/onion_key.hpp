#pragma once

#include "core/error.hpp"

#include <optional>
#include <string>

namespace ron::transport::tor {

/// The private key in the file at `path`; empty if there is no such file. Errors: forbidden (others
/// may read it), bad_request (it holds no key), internal (cannot be read).
core::result<std::string> load_onion_key(const std::string& path);

/// Writes the key to a new file with mode 0600, on the disk when this returns. Blocks; once in the
/// life of a node. Errors: conflict (there is a file), internal.
core::result<void> save_onion_key(const std::string& path, const std::string& key);

/// A daemon's authentication cookie: a regular file of exactly 32 bytes, or nothing. Never waits.
std::optional<std::string> load_cookie(const std::string& path);

} // namespace ron::transport::tor
