#include "transport/oap_call.hpp"

#include "core/json.hpp"
#include "core/object_reader.hpp"

#include <algorithm>

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
json take(json& map, const char* key) {
  auto i = map.find(key);
  if (i == map.end())
    return nullptr;
  json v = std::move(*i);
  map.erase(i);
  return v;
}

result<void> read_reserved(json& args, call& c, core::id_source& ids, std::int64_t wall_ms,
                           std::optional<std::uint64_t>& budget_ms) {
  json reserved = json::object();
  for (auto key : {"_corr", "_trace", "_idem", "_dl", "_if"})
    if (auto v = take(args, key); !v.is_null())
      reserved[key] = std::move(v);
  core::object_reader in{reserved};
  auto corr = in.optional_text("_corr");
  auto trace = in.optional_text("_trace");
  c.idempotency_key = in.optional_text("_idem", {.min_bytes = 1, .max_bytes = idempotency_key_max})
                        .value_or(std::string{});
  budget_ms = in.optional_uint("_dl", 1, deadline_ms_max);
  c.if_match = in.optional_text("_if", {.min_bytes = 1, .max_bytes = condition_max})
                 .value_or(std::string{});
  if (!is_printable(c.idempotency_key))
    in.refuse("_idem", "expected printable ASCII");
  if (auto ok = in.finish(); !ok)
    return ok;
  auto own = corr ? core::corr_id::parse(*corr) : std::nullopt;
  c.corr = own ? *own : ids.next_corr(wall_ms);
  auto parent = trace ? core::trace_context::parse(*trace) : std::nullopt;
  c.traceparent = (parent ? ids.child_of(*parent) : ids.new_trace()).to_text();
  return {};
}

} // namespace

result<call> call_of(const oap::opened& start, const oap_service& service, const link_info& peer,
                     core::id_source& ids, core::instant now) {
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
  c.args = json::object();
  if (!start.args.empty()) {
    auto args = core::parse_cbor(start.args.view());
    if (!args)
      return fail(ec::bad_request, "args: " + args.error().message);
    if (!args->is_object())
      return fail(ec::bad_request, "args: expected a map");
    c.args = std::move(*args);
  }
  std::optional<std::uint64_t> budget_ms;
  if (auto ok = read_reserved(c.args, c, ids, service.clock().wall_ms(), budget_ms); !ok)
    return std::unexpected{ok.error()};
  if (auto range = take(c.args, "range"); !range.is_null()) {
    auto r = read_range(range);
    if (!r)
      return std::unexpected{r.error()};
    c.range = *r;
  }
  const auto& limits = service.settings();
  const auto cap = c.op->waits ? limits.wait_max : limits.request_timeout;
  c.deadline = core::deadline_after(now, cap);
  if (budget_ms && !c.op->waits)
    c.deadline = std::min(c.deadline,
                          now + std::chrono::milliseconds{static_cast<std::int64_t>(*budget_ms)});
  return c;
}

} // namespace ron::transport
