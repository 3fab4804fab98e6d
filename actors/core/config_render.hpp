#pragma once

#include "core/config_load.hpp"

#include <span>
#include <string>
#include <string_view>

/// Texts made from the schema, so that none of them can differ from it. Pure, any thread.
namespace ron::core::config {

/// `--print-config`: every key, its value and as a comment where it came from. Itself a valid
/// configuration file that gives the same configuration.
std::string print_config(const node_config& c);

/// Names of the files in config/ without `.ini`: micronode and one of each macronode role.
std::span<const std::string_view> default_file_names();

/// The text of config/<name>.ini: every key with its help and default as comments, and what the
/// file sets. Empty if there is no such file.
std::string default_file(std::string_view name);

/// The text of docs/CONFIG.md.
std::string reference();

} // namespace ron::core::config
