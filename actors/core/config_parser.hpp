#pragma once

#include "core/config_value.hpp"

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <vector>

/// The syntax of configuration files: CAF's `[section]` and `key = value` with `;` comments, and
/// nothing more of it. Knows no key. Pure, any thread; never throws on any input.
namespace ron::core::config {

/// Bounds of one file. Beyond them the file is refused, not cut.
inline constexpr std::size_t file_bytes_max = 1u << 20;
inline constexpr std::size_t file_keys_max = 2048;
inline constexpr std::size_t name_bytes_max = 128;
/// Problems reported of one source; the last one says that there are more.
inline constexpr std::size_t problems_max = 100;

/// Something wrong with the configuration, in the one form it is printed.
struct problem {
  std::string place;      ///< `file:line:col`, `environment RON_X`, `command line --x`
  std::string section;    ///< may be empty
  std::string key;        ///< without the section; may be empty
  std::string what;       ///< what was wrong
  std::string expected;   ///< what would be right; may be empty
  std::string suggestion; ///< what was likely meant; may be empty
  bool usage = false;     ///< an unknown option: exit 2 instead of 78

  bool operator==(const problem&) const = default;
};

/// `file:line:col: error: [section] key: what; expected ...; did you mean ...`; `severity` is
/// `error` or `warning`.
std::string to_string(const problem& x, std::string_view severity = "error");

/// One `key = value` of a file. Lines and columns count bytes from 1.
struct entry {
  std::string name; ///< section and key, with a dot between
  raw_value value;
  std::uint32_t line = 0; ///< of the key
  std::uint32_t col = 0;
  std::uint32_t value_line = 0;
  std::uint32_t value_col = 0;
};

struct parsed_file {
  std::vector<entry> entries;    ///< in the order of the file
  std::vector<problem> problems; ///< at most `problems_max`
};

/// Parses the text of the file called `name`, going on behind each error.
parsed_file parse_ini(std::string_view name, std::string_view text);

/// Reads a value given by an environment variable or option: quotes are not needed, and `a,b` is
/// a list where a list is expected.
std::expected<raw_value, value_error> parse_text(std::string_view text);

/// Splits `section.key` for a message.
void set_name(problem& x, std::string_view full_name);

} // namespace ron::core::config
