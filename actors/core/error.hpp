#pragma once

#include <cstddef>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace ron::core {

/// Everything that can go wrong with a request, once. Each value has one row in the table of
/// error.cpp that names its HTTP status, its JSON `code`, its metric `reason` and its OAP reason
/// number; the two wire formats and the metrics never decide on their own.
/// Append only; at most 255 values.
enum class ec : std::uint8_t {
  none = 0,
  bad_request,           ///< malformed, ambiguous or out of range
  unauth,                ///< no capability, or one that does not verify
  forbidden,             ///< a valid capability that does not allow this
  not_found,             ///< nothing is known under this name or id
  unknown_operation,     ///< no such route, operation or application
  method_not_allowed,    ///< the route exists, the method does not
  timeout,               ///< the caller was too slow
  conflict,              ///< the state contradicts the request
  digest_mismatch,       ///< the bytes hash to another id than the caller said
  precondition_failed,   ///< a compare-and-set lost
  body_cap,              ///< the body passed its cap
  decompress_cap,        ///< inflation passed its absolute cap
  ratio_cap,             ///< inflation passed its ratio cap
  unsupported_coding,    ///< unknown or stacked content coding
  unsupported_media,     ///< unknown media type
  range_not_satisfiable, ///< no byte of the range exists
  expectation_failed,    ///< an Expect other than 100-continue
  quota,                 ///< the caller's or the agreed rate is used up
  stream_limit,          ///< too many streams on one connection
  headers_too_large,     ///< the head passed its cap
  internal,              ///< a bug of ours
  downstream_5xx,        ///< a downstream failed
  bad_digest,            ///< stored bytes do not hash to their id
  busy,                  ///< we are full: in-flight, waiters, a mailbox
  degraded,              ///< a needed part is not there or only reads are served
  draining,              ///< we are stopping
  conn_cap,              ///< too many connections
  downstream_timeout,    ///< a downstream did not answer in time
  disk_full,             ///< no space on the device
  store_quota,           ///< the store's cap or quota is reached
  cancelled,             ///< the caller took the request back
  tor_unavailable,       ///< Tor is not there, not ready or cannot reach the service; never retried
};

/// Number of values of `ec`, `none` included.
inline constexpr std::size_t ec_count = static_cast<std::size_t>(ec::tor_unavailable) + 1;

/// One row of the error table: how a value looks on every surface.
struct ec_info {
  ec value;
  std::uint16_t http_status;
  std::uint16_t oap_reason;   ///< application reason of an OAP ERROR
  std::string_view code;      ///< JSON `code`
  std::string_view reason;    ///< JSON `reason` and metric label, a closed set
  bool retryable;             ///< may the same request succeed later
};

/// The row of `value`. Any thread.
const ec_info& info(ec value) noexcept;

/// The value whose OAP reason number is `reason`, for a client that received an ERROR. Where
/// several values share a number, the one with the status that OAP/1 gives to it.
std::optional<ec> from_oap_reason(std::uint16_t reason) noexcept;

/// The status of an OAP ERROR: OAP/1 ties it to the reason number, so that values that share a
/// number share the status too, whatever theirs is on HTTP.
std::uint16_t oap_status(ec value) noexcept;

/// The closed set of reasons for which a request is refused: label of `rejected_total`. Values of
/// `ec` that a client treats alike share one. In the order of the error table of the HTTP surface.
enum class reject_reason : std::uint8_t {
  bad_request, unauth, forbidden, not_found, method, timeout, conflict, digest, precondition,
  body_cap, decompress_cap, ratio_cap, coding, media_type, range, expectation, quota, headers,
  internal, downstream_5xx, integrity, busy, degraded, draining, conn_cap, downstream_timeout,
  disk_full, store_quota,
};
inline constexpr std::size_t reject_reason_count
  = static_cast<std::size_t>(reject_reason::store_quota) + 1;

/// The label's text; the same as `ec_info::reason` of its values.
std::string_view to_string(reject_reason r) noexcept;

/// The reason under which `value` counts; nothing for `none` and `cancelled`, which refuse nobody.
std::optional<reject_reason> reject_reason_of(ec value) noexcept;

/// The name of the enumerator, for logs.
std::string_view to_string(ec value) noexcept;

/// An error on its way to the caller: what, in words, and when to come back.
struct error {
  ec code = ec::internal;
  std::string message;             ///< one sentence: what, where, limit, knob; no secrets
  std::uint32_t retry_after_ms = 0; ///< 0 = not said

  error() = default;
  error(ec c, std::string text, std::uint32_t retry_ms = 0)
    : code(c), message(std::move(text)), retry_after_ms(retry_ms) {
    // nop
  }
  bool operator==(const error&) const = default;
};

/// A value or an error. The only way pure code reports an expected failure.
template <class T>
using result = std::expected<T, error>;

/// Shorthand for `return fail(ec::busy, "...")` in a function that returns `result<T>`.
inline std::unexpected<error> fail(ec code, std::string message, std::uint32_t retry_ms = 0) {
  return std::unexpected<error>{error{code, std::move(message), retry_ms}};
}

} // namespace ron::core
