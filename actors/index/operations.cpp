#include "index/operations.hpp"

#include "core/json.hpp"
#include "core/object_reader.hpp"
#include "index/manifest.hpp"
#include "index/name.hpp"

#include <caf/event_based_actor.hpp>

#include <charconv>
#include <limits>

namespace ron::index {

using core::ec;
using core::error;
using core::fail;
using core::json;
using core::object_reader;
using core::result;
using transport::exchange_ptr;

namespace {

constexpr std::uint64_t version_max = std::numeric_limits<std::int64_t>::max();
constexpr std::uint64_t ttl_s_max = 30 * 24 * 3'600;
constexpr std::uint64_t page_max = 1'000;
constexpr std::uint64_t providers_max = 32;

using role = core::downstream<index_actor>;

/// Answers the request with an error on the failing branch of a call.
auto fail_with(exchange_ptr x) {
  return [x](error e) { x->fail(std::move(e)); };
}

core::instant deadline_of(const exchange_ptr& x, std::chrono::milliseconds cap) {
  return core::leg_deadline(x->request().deadline, x->self()->clock().now(), cap);
}

/// The version in `If-Match: "<version>"` or OAP's `_if: "<version>"`.
std::optional<std::uint64_t> parse_version(std::string_view text) {
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"')
    text = text.substr(1, text.size() - 2);
  std::uint64_t v = 0;
  auto r = std::from_chars(text.data(), text.data() + text.size(), v);
  if (r.ec != std::errc{} || r.ptr != text.data() + text.size() || v == 0)
    return std::nullopt;
  return v;
}

/// `If-Match` names a version, `If-None-Match: *` (OAP: `_if: "absent"`) wants the name to be new.
result<precondition> precondition_of(const transport::call& c) {
  const bool absent = c.if_none_match == "*" || c.if_match == "absent";
  if (!c.if_none_match.empty() && c.if_none_match != "*")
    return fail(ec::bad_request, "If-None-Match: only * is understood on a name");
  if (absent && !c.if_match.empty() && c.if_match != "absent")
    return fail(ec::bad_request, "If-Match and If-None-Match exclude each other");
  if (absent)
    return precondition{precondition::kind::absent, 0};
  if (c.if_match.empty())
    return precondition{};
  auto version = parse_version(c.if_match);
  if (!version)
    return fail(ec::bad_request, "If-Match: expected \"<version>\" of the name's record");
  return precondition{precondition::kind::version, *version};
}

json summary(const name_record& r) {
  return {{"name", r.name}, {"version", r.version}, {"cid", r.cid.to_text()}};
}

std::string etag(std::uint64_t version) {
  return '"' + std::to_string(version) + '"';
}

json parsed_or_null(const std::string& text) {
  if (text.empty())
    return nullptr;
  auto value = core::parse_json(text);
  return value ? std::move(*value) : json(nullptr);
}

// -- names -----------------------------------------------------------------------

result<put_name> read_put(const transport::call& c) {
  object_reader in{c.args};
  put_name w;
  auto name_text = in.text("name", {.min_bytes = 1, .max_bytes = 4 * name::bytes_max});
  w.cid = in.cid("cid");
  w.ttl_s = static_cast<std::uint32_t>(in.optional_uint("ttl_s", 1, ttl_s_max).value_or(0));
  const auto* manifest = in.optional_object("manifest");
  if (auto ok = in.finish(); !ok)
    return std::unexpected{ok.error()};
  auto checked = name::parse(name_text);
  if (!checked)
    return std::unexpected{checked.error()};
  w.name = checked->text();
  if (manifest) {
    auto text = check_manifest(*manifest, w.cid);
    if (!text)
      return std::unexpected{text.error()};
    w.manifest = std::move(*text);
  }
  auto when = precondition_of(c);
  if (!when)
    return std::unexpected{when.error()};
  w.when = *when;
  return w;
}

void serve_put(const role& index, const exchange_ptr& x) {
  auto w = read_put(x->request());
  if (!w)
    return x->fail(std::move(w.error()));
  index.call(x->self(), x->request().deadline, std::move(*w))
    .then(
      [x](const name_written& done) {
        transport::answer a;
        a.status = done.created ? 201 : 200;
        a.result = summary(done.record);
        a.headers = {{"ETag", etag(done.record.version)}};
        x->reply(std::move(a));
      },
      fail_with(x));
}

void serve_del(const role& index, const exchange_ptr& x) {
  object_reader in{x->request().args};
  auto text = in.text("name", {.min_bytes = 1, .max_bytes = 4 * name::bytes_max});
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  auto checked = name::parse(text);
  if (!checked)
    return x->fail(checked.error());
  auto when = precondition_of(x->request());
  if (!when)
    return x->fail(when.error());
  index.call(x->self(), x->request().deadline, del_name{checked->text(), *when})
    .then(
      [x](const name_record&) {
        transport::answer a;
        a.status = 204;
        x->reply(std::move(a));
      },
      fail_with(x));
}

void serve_list(const role& index, const exchange_ptr& x) {
  object_reader in{x->request().args};
  list_names q;
  auto prefix = in.optional_text("prefix", {.min_bytes = 0, .max_bytes = name::bytes_max});
  q.limit = static_cast<std::uint32_t>(in.optional_uint("limit", 1, page_max).value_or(100));
  q.after = in.optional_text("cursor", {.min_bytes = 0, .max_bytes = name::bytes_max})
              .value_or(std::string{});
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  auto checked = check_prefix(prefix.value_or(std::string{}));
  if (!checked)
    return x->fail(checked.error());
  q.prefix = std::move(*checked);
  index.call(x->self(), x->request().deadline, std::move(q))
    .then(
      [x](const name_page& page) {
        json items = json::array();
        for (const auto& r : page.items)
          items.push_back(summary(r));
        transport::answer a;
        a.result = {{"items", std::move(items)},
                    {"next_cursor", page.next.empty() ? json(nullptr) : json(page.next)}};
        x->reply(std::move(a));
      },
      fail_with(x));
}

// -- resolution --------------------------------------------------------------------

void serve_resolve(const role& index, const operation_limits& limits, const exchange_ptr& x) {
  object_reader in{x->request().args};
  auto text = in.text("key", {.min_bytes = 1, .max_bytes = 4 * name::bytes_max});
  auto version = in.optional_uint("version", 1, version_max).value_or(0);
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  auto key = parse_key(text);
  if (!key)
    return x->fail(key.error());
  key->version = version;
  index.call(x->self(), deadline_of(x, limits.resolve_budget), std::move(*key))
    .then(
      [x, text](const resolution& r) {
        transport::answer a;
        a.result = to_json(r, text);
        x->reply(std::move(a));
      },
      fail_with(x));
}

// -- manifests and providers ---------------------------------------------------------

void serve_get_manifest(const role& index, const exchange_ptr& x) {
  object_reader in{x->request().args};
  auto cid = in.cid("cid");
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  index.call(x->self(), x->request().deadline, find_manifest{cid})
    .then(
      [x](const manifest_text& m) {
        transport::answer a;
        a.result = parsed_or_null(m.json);
        x->reply(std::move(a));
      },
      fail_with(x));
}

void serve_put_manifest(const role& index, const exchange_ptr& x) {
  // The body is the manifest itself, the path (OAP: the same map) names the object.
  const auto& args = x->request().args;
  auto text = args.find("cid");
  auto cid = text != args.end() && text->is_string()
               ? core::cid::parse(text->get_ref<const std::string&>())
               : std::nullopt;
  if (!cid)
    return x->fail({ec::bad_request, "cid: expected b3:<64 lower-case hex>"});
  auto checked = check_manifest(args, *cid);
  if (!checked)
    return x->fail(std::move(checked.error()));
  auto kept = *checked;
  index.call(x->self(), x->request().deadline, put_manifest{*cid, std::move(*checked)})
    .then(
      [x, kept](atom::ok) {
        transport::answer a;
        a.result = parsed_or_null(kept);
        x->reply(std::move(a));
      },
      fail_with(x));
}

json providers_json(const std::vector<provider>& providers, std::size_t limit) {
  json out = json::array();
  for (const auto& p : providers) {
    if (out.size() == limit)
      break;
    out.push_back({{"id", p.id}, {"addrs", p.addrs}, {"region", p.region}, {"score", p.score}});
  }
  return out;
}

void serve_providers(const role& index, const operation_limits& limits, const exchange_ptr& x) {
  object_reader in{x->request().args};
  auto cid = in.cid("cid");
  auto limit = in.optional_uint("limit", 1, providers_max).value_or(5);
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  auto shown = [x, cid, limit](const std::vector<provider>& all) {
    transport::answer a;
    a.result = {{"cid", cid.to_text()},
                {"providers", providers_json(all, limit)},
                {"truncated", all.size() > limit}};
    x->reply(std::move(a));
  };
  index.call(x->self(), deadline_of(x, limits.resolve_budget), resolve_key{{}, cid, 0})
    .then([shown](const resolution& r) { shown(r.providers); },
          [x, shown](error e) {
            if (e.code == ec::not_found)
              shown({}); // nobody is known to hold it, which is an answer
            else
              x->fail(std::move(e));
          });
}

} // namespace

json to_json(const resolution& r, std::string_view key) {
  return {{"key", key},
          {"cid", r.cid.to_text()},
          {"version", r.version == 0 ? json(nullptr) : json(r.version)},
          {"manifest", parsed_or_null(r.manifest)},
          {"providers", providers_json(r.providers, r.providers.size())},
          {"source", std::string{to_string(r.source)}},
          {"hops", r.hops},
          {"etag", r.version == 0 ? '"' + r.cid.to_text() + '"' : etag(r.version)}};
}

std::vector<transport::operation> operations(role index, operation_limits limits) {
  using transport::access;
  using transport::body;
  using transport::operation;
  using transport::query_param;
  using transport::route;
  constexpr auto integer = query_param::type::integer;
  std::vector<operation> rows;
  auto add = [&rows](operation row) { rows.push_back(std::move(row)); };
  add({.name = "resolve", .method = "GET", .path = "/v1/resolve/{key...}",
       .label = route::resolve, .needs = access::read, .query = {{"version", integer}},
       .handle = [=](exchange_ptr x) { serve_resolve(index, limits, x); }});
  add({.name = "name.put", .method = "PUT", .path = "/v1/names/{name...}", .label = route::name,
       .needs = access::write, .takes = body::json,
       .handle = [=](exchange_ptr x) { serve_put(index, x); }});
  add({.name = "name.del", .method = "DELETE", .path = "/v1/names/{name...}",
       .label = route::name, .needs = access::write,
       .handle = [=](exchange_ptr x) { serve_del(index, x); }});
  add({.name = "name.list", .method = "GET", .path = "/v1/names", .label = route::name,
       .needs = access::read, .query = {{"prefix"}, {"limit", integer}, {"cursor"}},
       .handle = [=](exchange_ptr x) { serve_list(index, x); }});
  add({.name = "manifest.get", .method = "GET", .path = "/v1/manifests/{cid}",
       .label = route::manifest, .needs = access::read,
       .handle = [=](exchange_ptr x) { serve_get_manifest(index, x); }});
  add({.name = "manifest.put", .method = "PUT", .path = "/v1/manifests/{cid}",
       .label = route::manifest, .needs = access::write, .takes = body::json,
       .handle = [=](exchange_ptr x) { serve_put_manifest(index, x); }});
  add({.name = "providers", .method = "GET", .path = "/v1/providers/{cid}",
       .label = route::provider, .needs = access::read, .query = {{"limit", integer}},
       .handle = [=](exchange_ptr x) { serve_providers(index, limits, x); }});
  return rows;
}

} // namespace ron::index
