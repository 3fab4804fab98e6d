#include "node/operations.hpp"

#include "core/json.hpp"
#include "core/object_reader.hpp"
#include "node/version.hpp"

namespace ron::node {

using core::json;
using transport::access;
using transport::exchange_ptr;
using transport::operation;

namespace {

constexpr int retry_after_s = 1;

void reply(const exchange_ptr& x, json result, std::uint16_t status = 200,
           std::vector<transport::header> headers = {}) {
  transport::answer a;
  a.status = status;
  a.result = std::move(result);
  a.headers = std::move(headers);
  x->reply(std::move(a));
}

void serve_health(const status& node, const exchange_ptr& x) {
  reply(x, {{"ok", true}, {"uptime_s", node.uptime().count() / 1'000}});
}

// 200 / 200 with degraded / 503; for writes 200 / 503 / 503.
void serve_ready(const status& node, const exchange_ptr& x) {
  core::object_reader in{x->request().args};
  auto purpose = in.optional_text("for");
  if (purpose && *purpose != "write" && *purpose != "read")
    in.refuse("for", "expected read or write");
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  const auto now = node.get();
  const bool degraded = now.state == readiness::degraded;
  const bool ok
    = now.state == readiness::ready || (degraded && purpose.value_or("read") != "write");
  json body{{"ready", ok},
            {"degraded", degraded},
            {"missing", now.missing},
            {"retry_after", ok ? json(nullptr) : json(retry_after_s)}};
  if (ok || transport::is_oap(x->request().via)) // there the map says it all
    return reply(x, std::move(body));
  reply(x, std::move(body), 503, {{"Retry-After", std::to_string(retry_after_s)}});
}

void serve_metrics(const core::metrics::registry& metrics, const exchange_ptr& x) {
  transport::answer a;
  a.content_type = "text/plain; version=0.0.4; charset=utf-8";
  a.text = metrics.expose();
  x->reply(std::move(a));
}

operation health_row(const operations_parts& p) {
  return {.method = "GET", .path = "/healthz", .needs = access::none,
          .handle = [s = p.state](exchange_ptr x) { serve_health(*s, x); }};
}

operation ready_row(const operations_parts& p) {
  return {.name = "ready", .method = "GET", .path = "/readyz", .needs = access::none,
          .query = {{"for"}}, .handle = [s = p.state](exchange_ptr x) { serve_ready(*s, x); }};
}

operation version_row(bool details) {
  return {.method = "GET", .path = "/version", .needs = access::none,
          .handle = [details](exchange_ptr x) { reply(x, version_json(details)); }};
}

} // namespace

std::vector<operation> public_operations(const operations_parts& p) {
  return {health_row(p), ready_row(p), version_row(false)};
}

std::vector<operation> admin_operations(const operations_parts& p) {
  return {health_row(p),
          ready_row(p),
          version_row(true),
          {.method = "GET", .path = "/metrics", .needs = access::none,
           .handle = [m = p.metrics](exchange_ptr x) { serve_metrics(*m, x); }},
          {.method = "POST", .path = "/admin/drain", .needs = access::admin,
           .handle = [drain = p.drain](exchange_ptr x) {
             reply(x, {{"draining", true}}, 202);
             drain();
           }}};
}

} // namespace ron::node
