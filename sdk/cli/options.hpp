#pragma once

#include "core/error.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace ron::cli {

/// Exit codes of ronctl, part of its interface.
enum exit_code : int {
  exit_ok = 0,
  exit_failed = 1,      ///< the message says why
  exit_usage = 2,
  exit_not_found = 3,
  exit_refused = 4,     ///< capability, policy
  exit_unavailable = 5, ///< nobody there, or not in time
};

/// The exit code that tells a script what kind of failure it was.
exit_code exit_code_of(core::ec code) noexcept;

/// How results are printed.
enum class format : std::uint8_t { table, json };

/// One option of a command: `--name VALUE`, or a flag without a value.
struct option_spec {
  std::string_view name;   ///< with its dashes
  std::string_view value;  ///< placeholder; empty = flag
  std::string_view help;
};

/// A command line after parsing.
struct arguments {
  std::vector<std::string> positional;
  std::map<std::string, std::string, std::less<>> options; ///< flags have the value "yes"

  bool has(std::string_view name) const { return options.contains(name); }
  std::string get(std::string_view name, std::string_view fallback = {}) const {
    auto i = options.find(name);
    return std::string{i == options.end() ? fallback : std::string_view{i->second}};
  }
};

/// Splits `argv` into options of `specs` and the rest. `--` ends the options; `--a=b` is `--a b`.
/// Error: bad_request with one sentence.
core::result<arguments> parse_arguments(std::span<const std::string> argv,
                                        std::span<const option_spec> specs);

/// An unsigned decimal in `lo`..`hi`. Error: bad_request naming `what`.
core::result<std::uint64_t> parse_number(std::string_view what, std::string_view text,
                                         std::uint64_t lo, std::uint64_t hi);

/// `host:port`, `[v6]:port`.
struct address {
  std::string host;
  std::uint16_t port = 0;
  bool is_loopback() const;
  bool is_onion() const; ///< an onion service: to be reached through Tor only
  std::string to_string() const;
};
core::result<address> parse_address(std::string_view what, std::string_view text);

} // namespace ron::cli
