#pragma once

#include "core/config_cli.hpp"

namespace ron::node {

/// Runs a node until it is told to stop: SIGTERM or SIGINT drains it, a second one ends it at once
/// with 75. Prints the ready line on stdout. Returns the exit code.
///
/// The order in which things are built is the order of the code in node.cpp, and they are stopped
/// in reverse. Called once, on the main thread.
int run(const core::config::command& command);

} // namespace ron::node
