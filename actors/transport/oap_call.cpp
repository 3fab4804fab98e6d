#include "transport/oap_call.hpp"

#include "core/json.hpp"
#include "core/object_reader.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

namespace ron::transport {

using core::ec;
using core::fail;
using core::json;
using core::result;

namespace {

constexpr std::uint16_t app_services = 1;
constexpr std::size_t idempotency_key_max = 128;
constexpr std::size_t condition_max = 256;
constexpr std::uint64_t deadline_ms_max = 3'600'000;

bool is_printable(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

/// `[from, to]`, `[from]` or `[-n]`, to inclusive.
result<range_request> read_range(const json& v) {
  const bool good = v.is_array() && !v.empty() && v.size() <= 2
                    && std::ranges::all_of(v, [](const json& x) { return x.is_number_integer(); });
  range_request r;
  if (good && v.size() == 1 && !v[0].is_number_unsigned() && v[0].get<std::int64_t>() < 0) {
    r.suffix = static_cast<std::uint64_t>(-(v[0].get<std::int64_t>() + 1)) + 1;
    return r;
  }
  if (!good || !v[0].is_number_unsigned() || (v.size() == 2 && !v[1].is_number_unsigned()))
    return fail(ec::bad_request, "range: expected [from, to], [from] or [-n]");
  r.first = v[0].get<std::uint64_t>();
  if (v.size() == 2)
    r.last = v[1].get<std::uint64_t>();
  if (r.last && *r.last < *r.first)
    return fail(ec::bad_request, "range: ends before it begins");
  return r;
}

/// Takes `key` out of the map; null if it is not there.
json take(json& map, std::string_view key) {
  auto i = map.find(key);
  if (i == map.end())
    return nullptr;
  json v = std::move(*i);
  map.erase(i);
  return v;
}

constexpr std::array<std::string_view, 5> reserved_keys{"_corr", "_trace", "_idem", "_dl", "_if"};

bool is_reserved(std::string_view key) {
  return key.starts_with('_') && std::ranges::find(reserved_keys, key) != reserved_keys.end();
}

/// What the wire itself reads of the arguments.
struct reserved_args {
  std::optional<std::string> corr;
  std::optional<std::string> trace;
  std::optional<std::uint64_t> budget_ms;
};

result<void> read_reserved(core::object_reader in, call& c, reserved_args& out) {
  out.corr = in.optional_text("_corr");
  out.trace = in.optional_text("_trace");
  c.idempotency_key = in.optional_text("_idem", {.min_bytes = 1, .max_bytes = idempotency_key_max})
                        .value_or(std::string{});
  out.budget_ms = in.optional_uint("_dl", 1, deadline_ms_max);
  c.if_match = in.optional_text("_if", {.min_bytes = 1, .max_bytes = condition_max})
                 .value_or(std::string{});
  if (!is_printable(c.idempotency_key))
    in.refuse("_idem", "expected printable ASCII");
  return in.finish();
}

result<void> read_packed_args(call& c, reserved_args& out) {
  const auto reserved = c.packed->split(is_reserved);
  if (reserved.size() == 0)
    return {};
  return read_reserved(core::object_reader{reserved}, c, out);
}

result<void> read_tree_args(const core::bytes& cbor, call& c, reserved_args& out) {
  c.args = json::object();
  if (cbor.empty())
    return {};
  auto args = core::parse_cbor(cbor.view());
  if (!args)
    return fail(ec::bad_request, "args: " + args.error().message);
  if (!args->is_object())
    return fail(ec::bad_request, "args: expected a map");
  c.args = std::move(*args);
  json reserved = json::object();
  for (const auto key : reserved_keys)
    if (auto v = take(c.args, key); !v.is_null())
      reserved[std::string{key}] = std::move(v);
  return read_reserved(core::object_reader{reserved}, c, out);
}

result<void> read_args(const core::bytes& cbor, call& c, reserved_args& out) {
  if (c.op->reads_packed)
    c.packed = core::packed_object::scan(cbor);
  if (c.packed && !c.packed->has("range"))
    return read_packed_args(c, out);
  c.packed.reset();
  if (auto ok = read_tree_args(cbor, c, out); !ok)
    return ok;
  if (auto range = take(c.args, "range"); !range.is_null()) {
    auto r = read_range(range);
    if (!r)
      return std::unexpected{r.error()};
    c.range = *r;
  }
  return {};
}

} // namespace

result<call> call_of(const oap::opened& start, const oap_service& service,
                     const oap_settings& limits, const link_info& peer, core::id_source& ids,
                     core::instant now) {
  if (start.app != app_services)
    return fail(ec::unknown_operation, "unknown application " + std::to_string(start.app));
  auto op = service.operations().find_oap(start.name.text());
  if (!op)
    return std::unexpected{op.error()};
  call c;
  c.op = *op;
  c.via = peer.via;
  c.peer = peer.peer;
  c.started = now;
  c.capability = start.cap;
  reserved_args reserved;
  if (auto ok = read_args(start.args, c, reserved); !ok)
    return std::unexpected{ok.error()};
  // Neither is minted for a caller that gave none: nobody would see it on this wire, where the
  // stream's number names the request, and making them costs as much as a small request.
  if (const auto own = reserved.corr ? core::corr_id::parse(*reserved.corr) : std::nullopt)
    c.corr = *own;
  if (const auto up = reserved.trace ? core::trace_context::parse(*reserved.trace) : std::nullopt)
    c.traceparent = ids.child_of(*up).to_text();
  const auto cap = c.op->waits ? limits.wait_max : limits.request_timeout;
  c.deadline = core::deadline_after(now, cap);
  if (reserved.budget_ms && !c.op->waits) {
    const std::chrono::milliseconds left{static_cast<std::int64_t>(*reserved.budget_ms)};
    c.deadline = std::min(c.deadline, now + left);
  }
  return c;
}

} // namespace ron::transport
