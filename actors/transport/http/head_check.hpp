#pragma once

#include "core/error.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

namespace ron::http {

/// Bounds of a request head; keys `http.header-bytes-max` and its fixed companions.
struct head_limits {
  std::size_t bytes_max = 8'192;  ///< request line, fields and the empty line
  std::size_t fields_max = 100;
  std::size_t target_max = 4'096; ///< of the request target alone
};

/// Methods this server knows. Whether a route takes one is the operation table's business.
enum class method : std::uint8_t { get, head, put, post, del, options, patch };
std::string_view to_string(method m) noexcept;

/// One header field: the name as sent, the value without the white space around it.
struct field {
  std::string_view name;
  std::string_view value;
};

/// A request head that broke no rule. All views point into the text that was checked.
struct request_head {
  method verb = method::get;
  std::string_view target;       ///< path and query, always starting with '/'
  std::string_view host;         ///< as sent, never empty
  bool http_1_0 = false;
  bool keep_alive = true;        ///< what the peer asked for
  bool expects_continue = false; ///< `Expect: 100-continue`
  bool chunked = false;
  std::optional<std::uint64_t> content_length; ///< never together with `chunked`
  std::vector<field> fields;

  /// True when a body follows the head.
  bool has_body() const noexcept { return chunked || content_length.value_or(0) > 0; }
  /// How many fields have this name (any case); `value` is set to the last one.
  std::size_t count(std::string_view name, std::string_view* value = nullptr) const noexcept;
};

/// Looks for the end of a head in what has arrived so far, without looking at a byte twice.
/// Returns the length of the head with its empty line, or 0 when more is needed.
/// Errors: bad_request as soon as a line ends without CR or the first byte cannot start a method,
/// headers_too_large once the bound is passed without an end.
class head_scanner {
public:
  core::result<std::size_t> scan(std::string_view so_far, const head_limits& limits);
  /// Begins with the next head.
  void reset() noexcept { seen_ = 0; }

private:
  std::size_t seen_ = 0; ///< bytes already looked at
};

/// Checks one complete head, empty line included, before any other parser sees it (RFC 9112, and
/// stricter: what two parsers could read in two ways is refused).
///
/// bad_request: a line that does not end in CRLF, folded lines, white space around a name, bytes
/// outside their class, unknown methods and versions, not exactly one Host, any mix of
/// Transfer-Encoding and Content-Length, a coding other than a single `chunked`, HTTP/1.0 with
/// chunked, a Content-Length that is repeated, a list, signed, padded, has leading zeros or more
/// than 19 digits, a target that is neither origin-form nor an absolute-form that equals Host.
/// headers_too_large: more bytes or fields than allowed, or an over-long target.
/// method_not_allowed: CONNECT, TRACE, and `OPTIONS *`.
/// expectation_failed: any Expect but 100-continue.
core::result<request_head> check_head(std::string_view text, const head_limits& limits);

} // namespace ron::http
