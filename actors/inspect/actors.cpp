#include "inspect/actors.hpp"

#include "core/actor/directory.hpp"
#include "core/json.hpp"
#include "core/object_reader.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

namespace ron::inspect {

using core::actor_record;
using core::json;
using transport::exchange_ptr;

namespace {

constexpr std::uint64_t page_default = 1'000;
constexpr std::uint64_t page_max = 10'000;
constexpr std::uint64_t id_max = std::numeric_limits<std::int64_t>::max();

double milliseconds(std::chrono::nanoseconds d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

// A path of the build machine says nothing to the reader; the part below the sources does.
std::string site_of(const std::source_location& at) {
  std::string_view file = at.file_name();
  if (auto i = file.rfind("actors/"); i != file.npos)
    file.remove_prefix(i);
  return std::string{file} + ':' + std::to_string(at.line());
}

json to_json(const actor_record& r) {
  return {{"id", r.id},
          {"type", r.type},
          {"parent", r.parent == 0 ? json(nullptr) : json(r.parent)},
          {"shard", r.shard == core::no_shard ? json(nullptr) : json(r.shard)},
          {"state", r.in_handler.count() > 0 ? "run" : r.depth > 0 ? "queued" : "idle"},
          {"mailbox", {{"now", r.depth}, {"bound", r.bound}, {"high_water", r.high_water}}},
          {"in", r.in},
          {"out", r.out},
          {"refused", r.refused},
          {"dropped", r.dropped},
          {"busy_ms", milliseconds(r.busy)},
          {"age_ms", milliseconds(r.age)},
          {"last_message", r.last.name()},
          {"site", site_of(r.site)}};
}

void serve_actors(const exchange_ptr& x) {
  core::object_reader in{x->request().args};
  const auto limit = in.optional_uint("limit", 1, page_max).value_or(page_default);
  const auto after = in.optional_uint("cursor", 0, id_max).value_or(0);
  const auto type = in.optional_text("type");
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  auto& all = core::directory::instance();
  auto found = all.snapshot([&](const actor_record& r) {
    return r.id > after && (!type || *type == r.type);
  });
  std::ranges::sort(found, {}, &actor_record::id);
  const bool more = found.size() > limit;
  if (more)
    found.resize(limit);
  json items = json::array();
  for (const auto& r : found)
    items.push_back(to_json(r));
  transport::answer a;
  a.result = {{"items", std::move(items)},
              {"next_cursor", more ? json(found.back().id) : json(nullptr)},
              {"total_estimate", all.size()},
              {"sampled", false}};
  x->reply(std::move(a));
}

} // namespace

std::vector<transport::operation> operations() {
  using transport::query_param;
  constexpr auto integer = query_param::type::integer;
  return {{.method = "GET", .path = "/debug/v1/actors", .needs = transport::access::none,
           .query = {{"limit", integer}, {"cursor", integer}, {"type"}}, .handle = serve_actors}};
}

} // namespace ron::inspect
