#pragma once

#include "core/config_parser.hpp"
#include "core/config_schema.hpp"

#include <string>
#include <utility>
#include <vector>

/// From the four sources to a checked `node_config`. Pure but for `read_config_file`; any thread.
namespace ron::core::config {

/// One configuration file.
struct source_file {
  std::string name; ///< as it appears in messages
  std::string text;
};

/// What some defaults depend on.
struct host_facts {
  std::uint32_t cores = 1;
};

/// Everything a configuration is made from, each list in the order in which it was given.
/// The command line beats the environment beats later files beat earlier files beat defaults.
struct sources {
  std::vector<source_file> files;
  std::vector<problem> file_problems; ///< files that could not be read
  /// Name and value of all variables; those that do not start with RON_ and are no alias are
  /// none of ours. An unknown RON_ variable is an error.
  std::vector<std::pair<std::string, std::string>> environment;
  std::vector<std::pair<std::string, std::string>> command_line; ///< `http.address` and value
  host_facts host;
};

/// A configuration, or all that is wrong with it.
struct loaded {
  node_config_ptr config;        ///< null if there are errors
  std::vector<problem> errors;   ///< every one of every source
  std::vector<problem> warnings; ///< keys that have no effect in this version
};

/// Checks all sources and builds the configuration. Binds nothing, opens nothing.
loaded load(const sources& from);

/// Reads a configuration file, at most `file_bytes_max` of it.
std::expected<source_file, problem> read_config_file(const std::string& path);

/// One key as it stands in a configuration.
struct key_value {
  key_ref key;
  std::string name;
  std::string value; ///< canonical text, valid in a file
  origin from;
};

/// Every key that has a value, in schema order, members of families by name.
std::vector<key_value> all_values(const node_config& c);

/// A key whose value differs between two configurations.
struct difference {
  std::string name;
  std::string before; ///< empty: the member of a family was not set
  std::string after;
  reload_effect on_reload = reload_effect::refused;

  bool operator==(const difference&) const = default;
};

/// What a reload from `before` to `after` would change, in schema order.
std::vector<difference> diff(const node_config& before, const node_config& after);

// -- the two halves of `load`, apart for their size ------------------------------

/// Sets what has no default of its own and was not set: paths below node.data-dir and the like.
void derive_defaults(node_config& c, const host_facts& host);

/// Rules that involve several keys; says nothing about a key that is in `bad` already.
void check_together(const node_config& c, const std::vector<std::string>& bad,
                    std::vector<problem>& errors);

} // namespace ron::core::config
