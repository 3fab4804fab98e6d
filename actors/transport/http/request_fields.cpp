#include "transport/http/request_fields.hpp"

#include "core/base64.hpp"
#include "core/limits.hpp"
#include "transport/http/target.hpp"
#include "transport/http/text.hpp"

#include <algorithm>
#include <limits>

namespace ron::http {

namespace {

using core::ec;
using core::fail;

constexpr std::size_t idempotency_key_max = 128;

/// A weight in thousandths (RFC 9110, 12.4.2); 1000 when the parameters have none.
int weight(std::string_view parameters) noexcept {
  while (!parameters.empty()) {
    auto p = take_until(parameters, ';');
    if (p.size() < 3 || (p[0] | 0x20) != 'q' || p[1] != '=')
      continue;
    if (p[2] != '0')
      return 1000;
    int w = 0;
    int unit = 100;
    for (std::size_t i = 4; i < p.size() && i < 7 && p[i] >= '0' && p[i] <= '9'; ++i, unit /= 10)
      w += (p[i] - '0') * unit;
    return w;
  }
  return 1000;
}

} // namespace

std::string_view media_type(format f) noexcept {
  return f == format::cbor ? "application/cbor" : "application/json";
}

std::optional<core::corr_id> read_corr_id(const request_head& h) noexcept {
  std::string_view value;
  if (h.count("x-corr-id", &value) != 1)
    return std::nullopt;
  return core::corr_id::parse(value);
}

std::optional<core::trace_context> read_trace(const request_head& h) noexcept {
  std::string_view value;
  if (h.count("traceparent", &value) != 1)
    return std::nullopt;
  return core::trace_context::parse(value);
}

format read_accept(const request_head& h) noexcept {
  int json = 0;
  int cbor = 0;
  for (const auto& f : h.fields) {
    if (!iequals(f.name, "accept"))
      continue;
    for (auto rest = f.value; !rest.empty();) {
      auto item = take_until(rest, ',');
      auto type = take_until(item, ';');
      if (iequals(type, media_type(format::cbor)))
        cbor = std::max(cbor, weight(item));
      else if (iequals(type, media_type(format::json)))
        json = std::max(json, weight(item));
    }
  }
  return cbor > 0 && cbor >= json ? format::cbor : format::json;
}

core::result<std::string_view> read_single(const request_head& h, std::string_view name) {
  std::string_view value;
  if (h.count(name, &value) > 1)
    return fail(ec::bad_request, "header " + std::string{name} + " is given twice");
  return value;
}

core::result<std::optional<std::chrono::milliseconds>> read_deadline(const request_head& h) {
  using result = core::result<std::optional<std::chrono::milliseconds>>;
  std::string_view value;
  const auto n = h.count("x-deadline-ms", &value);
  if (n == 0)
    return result{std::nullopt};
  std::uint64_t ms = 0;
  constexpr std::uint64_t max = std::numeric_limits<std::int64_t>::max();
  if (n > 1 || !read_number(value, max, ms))
    return fail(ec::bad_request, "X-Deadline-Ms is not a number of milliseconds");
  return std::chrono::milliseconds{static_cast<std::int64_t>(ms)};
}

core::result<core::bytes> read_capability(const request_head& h) {
  std::string_view value;
  const auto n = h.count("authorization", &value);
  if (n == 0)
    return core::bytes{};
  constexpr std::string_view scheme = "bearer ";
  if (n > 1 || !iequals(value.substr(0, scheme.size()), scheme))
    return fail(ec::unauth, "the capability is given as `Authorization: Bearer <token>`");
  auto token = core::base64url_decode(trim(value.substr(scheme.size())));
  if (!token || token->empty() || token->size() > core::limits::oap_cap_bytes_max)
    return fail(ec::unauth, "the capability is not base64url text of at most 4 KiB");
  return std::move(*token);
}

core::result<std::string_view> read_idempotency_key(const request_head& h) {
  std::string_view value;
  const auto n = h.count("idempotency-key", &value);
  if (n == 0)
    return value;
  if (n > 1 || value.empty() || value.size() > idempotency_key_max
      || !std::ranges::all_of(value, [](char c) { return c >= 0x20 && c < 0x7f; }))
    return fail(ec::bad_request, "Idempotency-Key is 1 to 128 printable bytes");
  return value;
}

core::result<format> read_content_type(const request_head& h) {
  auto value = read_single(h, "content-type");
  if (!value)
    return std::unexpected{std::move(value.error())};
  auto rest = *value;
  auto type = take_until(rest, ';');
  if (type.empty() || iequals(type, media_type(format::json)))
    return format::json;
  if (iequals(type, media_type(format::cbor)))
    return format::cbor;
  return fail(ec::unsupported_media, "the body is application/json or application/cbor");
}

std::string joined(const request_head& h, std::string_view name) {
  std::string out;
  for (const auto& f : h.fields)
    if (iequals(f.name, name))
      out.append(out.empty() ? "" : ", ").append(f.value);
  return out;
}

} // namespace ron::http
