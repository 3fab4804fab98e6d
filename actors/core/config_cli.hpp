#pragma once

#include "core/config_load.hpp"

#include <span>
#include <string>
#include <utility>
#include <vector>

/// The command line of `ron-node`.
namespace ron::core::config {

/// Exit codes of the configuration phase; the others belong to the node.
inline constexpr int exit_ok = 0;
inline constexpr int exit_usage = 2;
inline constexpr int exit_config = 78;

/// What the caller has to do.
enum class mode : std::uint8_t {
  run,          ///< start the node with `config`
  finish,       ///< print `out` and `err`, exit with `exit_code`
  version,      ///< print the version as text
  version_json, ///< print the version as JSON
};

/// Where a configuration came from, kept to load it again on a reload.
struct recipe {
  std::vector<std::string> files;
  std::vector<std::pair<std::string, std::string>> options;
  std::vector<std::pair<std::string, std::string>> environment;
  host_facts host;
};

/// The outcome of parsing a command line.
struct command {
  config::mode mode = mode::finish;
  int exit_code = exit_ok;
  node_config_ptr config; ///< set in mode `run`
  std::string out;        ///< for stdout
  std::string err;        ///< for stderr: errors or warnings, one on a line
  config::recipe recipe;
};

/// Parses the arguments behind the program's name, reads the files and checks everything.
/// Opens nothing but the configuration files.
command parse_command_line(std::span<const char* const> arguments,
                           std::vector<std::pair<std::string, std::string>> environment,
                           host_facts host);

/// Reads the files of `from` again and checks everything; for SIGHUP and /admin/reload.
loaded load_again(const recipe& from);

/// Name and value of each variable in `environ`.
std::vector<std::pair<std::string, std::string>> environment_of(const char* const* environ);

/// What the kernel says about this machine: the cores this process may run on.
host_facts this_host();

} // namespace ron::core::config
