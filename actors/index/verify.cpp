#include "index/verify.hpp"

#include "core/json.hpp"
#include "index/layout.hpp"
#include "index/manifest.hpp"
#include "index/name.hpp"

#include <algorithm>

namespace ron::index {

namespace {

using core::byte_view;
using core::store::check_log;
using core::store::check_table;
using core::store::snapshot;

core::cid cid_of(byte_view v) noexcept {
  core::cid c;
  std::copy_n(v.begin(), std::min(v.size(), c.hash.size()), c.hash.begin());
  return c;
}

/// A name as it may stand in a message: what is no text of ours is not shown.
std::string shown(std::string_view name) {
  return name::parse(name) ? std::string{name} : "a name that is no name";
}

void check_names(const snapshot& s, check_log& log) {
  const auto counter = s.get(layout::counters, layout::text_view("version"));
  const auto last = counter ? core::store::load<std::uint64_t>(*counter) : 0;
  check_table(s, layout::names, "name", log, [&](byte_view key, byte_view value) {
    ++log.counts["names"];
    log.passed(key.size() + value.size());
    const auto text = layout::text_of(key);
    const auto parsed = name::parse(text);
    if (!parsed || parsed->text() != text)
      return log.damaged("a name is not in its canonical form");
    const auto r = layout::decode(text, value);
    if (!r)
      return log.damaged(shown(text) + ": the record has a wrong size");
    if (r->version == 0 || r->version > last)
      return log.damaged(shown(text) + ": version " + std::to_string(r->version)
                         + " was never given out");
    if (!s.get(layout::named, layout::named_key(r->cid, text)))
      log.damaged(shown(text) + ": " + r->cid.to_text() + " does not know that it is named");
  });
}

void check_named(const snapshot& s, check_log& log) {
  check_table(s, layout::named, "back reference", log, [&](byte_view key, byte_view) {
    const auto cid = cid_of(key);
    const auto text = layout::text_of(key.subspan(std::min(key.size(), cid.hash.size())));
    const auto value = s.get(layout::names, layout::text_view(text));
    const auto r = value ? layout::decode(text, *value)
                         : core::result<name_record>{std::unexpected{value.error()}};
    if (!r || r->cid != cid)
      log.damaged(cid.to_text() + ": said to be named " + shown(text) + ", which it is not");
  });
}

void check_manifests(const snapshot& s, check_log& log) {
  check_table(s, layout::manifests, "manifest", log, [&](byte_view key, byte_view value) {
    ++log.counts["manifests"];
    log.passed(key.size() + value.size());
    const auto cid = cid_of(key);
    auto json = core::parse_json(value, {.bytes_max = manifest_limits::bytes_max});
    if (key.size() != cid.hash.size() || !json || !check_manifest(*json, cid))
      log.damaged(cid.to_text() + ": the manifest cannot be read or is another object's");
  });
}

} // namespace

core::result<void> verify_store(const std::string& path, check_log& log) {
  auto s = snapshot::open(path, layout::table_names(), layout::format);
  if (!s)
    return std::unexpected{s.error()};
  log.counts = {{"names", 0}, {"manifests", 0}};
  check_names(*s, log);
  check_named(*s, log);
  check_manifests(*s, log);
  return {};
}

} // namespace ron::index
