#pragma once

#include "core/config.hpp"

#include <array>
#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

/// Values of configuration keys: from text to a field of `node_config` and back. Pure, any thread.
namespace ron::core::config {

/// The documented types.
enum class kind : std::uint8_t {
  boolean,   ///< `true`, `false`, also `on`, `off`
  integer,   ///< a decimal count
  size,      ///< bytes: `512`, `64KiB`, `1MiB`, `1GiB`, `1TiB`
  duration,  ///< `500ms`, `5s`, `3min`, `24h`
  rate,      ///< `500/s`
  byte_rate, ///< `16KiB/s`
  percent,   ///< `5 %`
  memory,    ///< a size or a percentage
  path,      ///< a file or folder, or `none`
  address,   ///< an IP address (or localhost) and a port
  listener,  ///< an address or `off`
  endpoints, ///< a list of `host:port`
  strings,   ///< a list of strings
  names,     ///< a list of names (of a fixed set, if the rule has words) or `off`
  user_ids,  ///< a list of numeric user ids
  choice,    ///< one word of a closed set
  roles,     ///< a list of roles
  shares,    ///< a list of `"name=number"` for a fixed set of names
};

/// What a key's value may be. Numbers are counts, bytes, milliseconds, per second or percent.
struct value_rule {
  kind type = kind::boolean;
  std::uint64_t min = 0;
  std::uint64_t max = 0;
  std::span<const std::string_view> words = {}; ///< choices in enum order, or names of shares
};

/// A field that is an enumeration over `unsigned char`, whatever its type.
struct choice_slot {
  unsigned char* value;
};

/// The fields of a `shares` key in the order of its words.
struct share_slot {
  std::array<std::uint32_t*, 3> values;
};

/// Where the value of a key lives.
using slot = std::variant<bool*, std::uint32_t*, std::uint64_t*, std::chrono::milliseconds*,
                          memory_bound*, std::string*, host_port*, std::optional<host_port>*,
                          std::vector<host_port>*, std::vector<std::string>*,
                          std::vector<std::uint32_t>*, role_set*, choice_slot, share_slot>;

/// A value as it was written, before its type is known.
struct raw_value {
  struct item {
    std::string text;
    bool quoted = false;
  };
  std::vector<item> items;
  bool list = false;  ///< written in brackets
  bool loose = false; ///< from the environment or command line: `a,b` is a list too
};

/// Why a text is not a value of its type.
struct value_error {
  std::string what;       ///< `"5x" is not a duration`
  std::string expected;   ///< `a duration from 100ms to 1h, such as 5s`
  std::string suggestion; ///< a likely meant value, or empty
};

/// Longest text of one value, and most items of one list.
inline constexpr std::size_t value_bytes_max = 4096;
inline constexpr std::size_t list_items_max = 64;

/// Parses `raw` by `rule` into `to`, which is left alone on an error. An item is UTF-8 without
/// control characters, at most `value_bytes_max` long.
std::expected<void, value_error> parse_value(const value_rule& rule, const raw_value& raw,
                                             const slot& to);

/// The canonical text of a field: parses back to the same value, in a file as well.
std::string print_value(const value_rule& rule, const slot& from);

/// What `rule` accepts, in words.
std::string expected_text(const value_rule& rule);

/// The range of a numeric rule, `1..64`, or the words of a closed set; empty if there is none.
std::string range_text(const value_rule& rule);

std::string_view to_string(kind x) noexcept;

/// `5s`, `1200ms`, `24h`.
std::string print_duration(std::chrono::milliseconds x);
/// `64KiB`, `66560`.
std::string print_size(std::uint64_t x);

/// Text from outside made safe for a terminal and a log: cut at 80 bytes, the rest escaped.
std::string printable(std::string_view text);

/// Number of edits between two texts of at most 64 bytes; 65 beyond.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The word that `text` most likely meant, empty if none is near.
std::string_view nearest(std::string_view text, std::span<const std::string_view> words);

} // namespace ron::core::config
