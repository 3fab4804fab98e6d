#pragma once

#include <expected>
#include <string>

namespace ron::node {

/// Exit codes of ron-node beside those of the command line, part of its interface.
inline constexpr int exit_unavailable = 69; ///< an address or a store is in use
inline constexpr int exit_internal = 70;
inline constexpr int exit_cut_short = 75;   ///< something was cut when the node stopped
inline constexpr int exit_configuration = 78;

/// Why a node cannot start, and what it exits with.
struct start_failure {
  int exit_code = exit_internal;
  std::string message; ///< one line: what, where, what to do
};

template <class T>
using started = std::expected<T, start_failure>;

inline std::unexpected<start_failure> cannot_start(int exit_code, std::string message) {
  return std::unexpected{start_failure{exit_code, std::move(message)}};
}

} // namespace ron::node
