#include "core/error.hpp"

#include <array>

namespace ron::core {

namespace {

struct row {
  ec_info info;
  std::string_view name;
};

// Sources: the error table of the HTTP surface and the application reasons of OAP/1, section 4.
// A value without an OAP reason of its own shares the one a client treats the same way.
constexpr std::array<row, ec_count> table{{
  {{ec::none, 200, 0, "ok", "ok", false}, "none"},
  {{ec::bad_request, 400, 0x100, "bad_request", "bad_request", false}, "bad_request"},
  {{ec::unauth, 401, 0x101, "unauth", "unauth", false}, "unauth"},
  {{ec::forbidden, 403, 0x102, "forbidden", "forbidden", false}, "forbidden"},
  {{ec::not_found, 404, 0x103, "not_found", "not_found", false}, "not_found"},
  {{ec::unknown_operation, 404, 0x111, "not_found", "not_found", false}, "unknown_operation"},
  {{ec::method_not_allowed, 405, 0x111, "method_not_allowed", "method", false},
   "method_not_allowed"},
  {{ec::timeout, 408, 0x10e, "timeout", "timeout", true}, "timeout"},
  {{ec::conflict, 409, 0x104, "conflict", "conflict", false}, "conflict"},
  {{ec::digest_mismatch, 409, 0x106, "digest_mismatch", "digest", false}, "digest_mismatch"},
  {{ec::precondition_failed, 412, 0x105, "precondition_failed", "precondition", false},
   "precondition_failed"},
  {{ec::body_cap, 413, 0x107, "payload_too_large", "body_cap", false}, "body_cap"},
  {{ec::decompress_cap, 413, 0x107, "payload_too_large", "decompress_cap", false},
   "decompress_cap"},
  {{ec::ratio_cap, 413, 0x107, "payload_too_large", "ratio_cap", false}, "ratio_cap"},
  {{ec::unsupported_coding, 415, 0x100, "unsupported_media_type", "coding", false},
   "unsupported_coding"},
  {{ec::unsupported_media, 415, 0x100, "unsupported_media_type", "media_type", false},
   "unsupported_media"},
  {{ec::range_not_satisfiable, 416, 0x113, "range_not_satisfiable", "range", false},
   "range_not_satisfiable"},
  {{ec::expectation_failed, 417, 0x100, "expectation_failed", "expectation", false},
   "expectation_failed"},
  {{ec::quota, 429, 0x108, "quota_exhausted", "quota", true}, "quota"},
  {{ec::stream_limit, 429, 0x112, "quota_exhausted", "quota", true}, "stream_limit"},
  {{ec::headers_too_large, 431, 0x100, "headers_too_large", "headers", false},
   "headers_too_large"},
  {{ec::internal, 500, 0x114, "internal", "internal", false}, "internal"},
  {{ec::downstream_5xx, 502, 0x10d, "bad_gateway", "downstream_5xx", true}, "downstream_5xx"},
  {{ec::bad_digest, 502, 0x10c, "bad_digest", "integrity", false}, "bad_digest"},
  {{ec::busy, 503, 0x109, "unavailable", "busy", true}, "busy"},
  {{ec::degraded, 503, 0x10a, "unavailable", "degraded", true}, "degraded"},
  {{ec::draining, 503, 0x10b, "unavailable", "draining", true}, "draining"},
  {{ec::conn_cap, 503, 0x109, "unavailable", "conn_cap", true}, "conn_cap"},
  {{ec::downstream_timeout, 504, 0x10e, "downstream_timeout", "downstream_timeout", true},
   "downstream_timeout"},
  {{ec::disk_full, 507, 0x10f, "insufficient_storage", "disk_full", false}, "disk_full"},
  {{ec::store_quota, 507, 0x110, "insufficient_storage", "store_quota", false}, "store_quota"},
  {{ec::cancelled, 499, 0x1f0, "cancelled", "cancelled", true}, "cancelled"},
  {{ec::tor_unavailable, 503, 0x10a, "unavailable", "degraded", false}, "tor_unavailable"},
}};

consteval bool rows_are_in_order() {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (static_cast<std::size_t>(table[i].info.value) != i)
      return false;
  return true;
}
static_assert(rows_are_in_order(), "row i of the table describes ec value i");

constexpr std::array<std::string_view, reject_reason_count> reject_names{
  "bad_request", "unauth", "forbidden", "not_found", "method", "timeout", "conflict", "digest",
  "precondition", "body_cap", "decompress_cap", "ratio_cap", "coding", "media_type", "range",
  "expectation", "quota", "headers", "internal", "downstream_5xx", "integrity", "busy",
  "degraded", "draining", "conn_cap", "downstream_timeout", "disk_full", "store_quota",
};

constexpr std::uint8_t not_a_reject = 0xff;

consteval std::array<std::uint8_t, ec_count> rejects_by_value() {
  std::array<std::uint8_t, ec_count> out{};
  for (std::size_t i = 0; i < ec_count; ++i) {
    out[i] = not_a_reject;
    for (std::size_t r = 0; r < reject_reason_count; ++r)
      if (table[i].info.reason == reject_names[r])
        out[i] = static_cast<std::uint8_t>(r);
  }
  return out;
}
constexpr auto reject_by_value = rejects_by_value();

consteval bool every_refusal_has_a_reason() {
  for (std::size_t i = 0; i < ec_count; ++i) {
    auto v = static_cast<ec>(i);
    if ((reject_by_value[i] == not_a_reject) != (v == ec::none || v == ec::cancelled))
      return false;
  }
  return true;
}
static_assert(every_refusal_has_a_reason());

} // namespace

const ec_info& info(ec value) noexcept {
  auto i = static_cast<std::size_t>(value);
  return table[i < table.size() ? i : static_cast<std::size_t>(ec::internal)].info;
}

std::optional<ec> from_oap_reason(std::uint16_t reason) noexcept {
  if (reason == 0x1f1) // drain of the whole connection: for the caller the same as draining
    return ec::draining;
  if (reason == 0x10e) // shared with the caller's own slowness, but its status is 504
    return ec::downstream_timeout;
  for (const auto& r : table)
    if (r.info.oap_reason == reason && r.info.value != ec::none)
      return r.info.value;
  return std::nullopt;
}

std::uint16_t oap_status(ec value) noexcept {
  auto owner = from_oap_reason(info(value).oap_reason);
  return info(owner.value_or(value)).http_status;
}

std::string_view to_string(reject_reason r) noexcept {
  auto i = static_cast<std::size_t>(r);
  return i < reject_names.size() ? reject_names[i] : "?";
}

std::optional<reject_reason> reject_reason_of(ec value) noexcept {
  auto i = static_cast<std::size_t>(value);
  auto r = reject_by_value[i < ec_count ? i : static_cast<std::size_t>(ec::internal)];
  if (r == not_a_reject)
    return std::nullopt;
  return static_cast<reject_reason>(r);
}

std::string_view to_string(ec value) noexcept {
  auto i = static_cast<std::size_t>(value);
  return i < table.size() ? table[i].name : "?";
}

} // namespace ron::core
