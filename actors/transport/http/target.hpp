#pragma once

#include "core/error.hpp"
#include "core/json_fwd.hpp"

#include <span>
#include <string>
#include <string_view>

namespace ron::transport {
struct query_param;
} // namespace ron::transport

namespace ron::http {

/// A request target cut at its first `?`, still percent-encoded.
struct target_parts {
  std::string_view path;
  std::string_view query;
};
target_parts split_target(std::string_view target) noexcept;

/// Decodes the query and adds its parameters to `args` (a JSON object): text as a string, integer
/// as a 64-bit number. `+` is a space, as browsers write it; escapes are decoded exactly once.
/// Errors (bad_request): a parameter that `spec` does not list, one that is given twice or is in
/// `args` already, a malformed escape, NUL or bytes that are not UTF-8, an integer that is not
/// written as plain decimal digits with an optional minus or does not fit 64 bits.
core::result<void> read_query(std::string_view query, std::span<const transport::query_param> spec,
                              core::json& args);

/// Reads decimal digits, nothing else: no sign, no leading zeros, at most `max`. False otherwise.
bool read_number(std::string_view text, std::uint64_t max, std::uint64_t& out) noexcept;

} // namespace ron::http
