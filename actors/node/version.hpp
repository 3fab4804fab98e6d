#pragma once

#include "core/json_fwd.hpp"

#include <string>

namespace ron::node {

/// `ron-node 0.1.0`.
std::string version_text();

/// `{"name","version","features":[]}`; with `details` also commit, compiler and libraries, which
/// only the operator should see.
core::json version_json(bool details);

} // namespace ron::node
