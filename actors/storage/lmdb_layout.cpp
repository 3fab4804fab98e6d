#include "storage/lmdb_layout.hpp"

#include "storage/backend.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace ron::storage::layout {

using core::byte_view;
using core::ec;
using core::fail;
using core::result;

namespace {

constexpr std::size_t fields_bytes = 8 + 8 + 1 + 4 + 4 + 8;
constexpr std::size_t check_bytes = 8;
constexpr std::size_t record_bytes = fields_bytes + check_bytes;

byte_view text(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

/// The hash that guards a record against what a disk or a stray write does to it.
std::uint64_t check_of(const core::cid& c, byte_view fields) {
  lmdb::key all;
  all.add(c.view()).add(fields);
  return lmdb::load<std::uint64_t>(core::b3::cid_of(all.view()).hash);
}

record decode_fields(byte_view v) noexcept {
  record r;
  r.number = lmdb::load<std::uint64_t>(v, 0);
  r.size = lmdb::load<std::uint64_t>(v, 8);
  r.state = static_cast<object_state>(lmdb::load<std::uint8_t>(v, 16));
  r.pins = lmdb::load<std::uint32_t>(v, 17);
  r.holders = lmdb::load<std::uint32_t>(v, 21);
  r.last_put_ms = static_cast<std::int64_t>(lmdb::load<std::uint64_t>(v, 25));
  return r;
}

result<record> decode(const core::cid& c, result<byte_view> v) {
  if (v)
    return layout::decode(c, *v);
  return v.error().code == ec::not_found ? fail(ec::not_found, "no such object")
                                         : std::unexpected{v.error()};
}

core::cid cid_of(byte_view key) noexcept {
  core::cid c;
  std::copy_n(key.begin(), std::min(key.size(), c.hash.size()), c.hash.begin());
  return c;
}

result<void> forgive_missing(result<void> r) {
  return r || r.error().code == ec::not_found ? result<void>{} : r;
}

/// Removes the holds of an object.
result<void> remove_holders(lmdb::transaction& t, const core::cid& c) {
  for (;;) {
    lmdb::key found;
    {
      auto at = t.scan(holders);
      if (!at.seek(c.view()) || !lmdb::starts_with(at.key(), c.view()))
        return at.status();
      found.add(at.key());
    }
    if (auto ok = t.del(holders, found); !ok)
      return ok;
  }
}

} // namespace

std::vector<std::string> table_names() {
  return {"objects", "holders", "chunks", "outboard", "loose", "totals", "pins", "work",
          "releases"};
}

result<void> migrate(lmdb::transaction& t, std::uint32_t old_format) {
  if (old_format != 1)
    return fail(ec::internal, "only format 1 is known");
  std::optional<core::cid> last;
  for (;;) {
    record r;
    {
      // What a cursor shows is valid until the next write only, so each step looks anew.
      auto at = t.scan(objects);
      if (!(last ? at.seek(last->view()) && at.next() : at.first()))
        return at.status();
      if (at.value().size() != fields_bytes)
        return fail(ec::internal, "a record of a wrong size");
      last = cid_of(at.key());
      r = decode_fields(at.value());
    }
    if (auto ok = save(t, *last, r); !ok)
      return ok;
  }
}

result<record> decode(const core::cid& c, byte_view v) {
  if (v.size() != record_bytes
      || check_of(c, v.first(fields_bytes)) != lmdb::load<std::uint64_t>(v, fields_bytes))
    return fail(ec::bad_digest, "the record of " + c.to_text() + " is damaged on disk");
  return decode_fields(v);
}

result<record> load(const lmdb::read_view& view, const core::cid& c) {
  return decode(c, view.get(objects, c.view()));
}

result<record> load(lmdb::transaction& t, const core::cid& c) {
  return decode(c, t.get(objects, c.view()));
}

result<void> save(lmdb::transaction& t, const core::cid& c, const record& r) {
  auto value = lmdb::key::of(r.number, r.size, static_cast<std::uint8_t>(r.state), r.pins,
                             r.holders, static_cast<std::uint64_t>(r.last_put_ms));
  value.add(check_of(c, value.view()));
  if (auto ok = t.put(objects, c.view(), value); !ok)
    return ok;
  return r.pins > 0 ? t.put(pins, c.view(), {}) : forgive_missing(t.del(pins, c.view()));
}

result<void> remove(lmdb::transaction& t, const core::cid& c) {
  if (auto ok = t.del(objects, c.view()); !ok)
    return ok;
  for (auto about : {pins, work})
    if (auto ok = forgive_missing(t.del(about, c.view())); !ok)
      return ok;
  return remove_holders(t, c);
}

result<object_page> pinned(const lmdb::read_view& view, const std::optional<core::cid>& after,
                           std::size_t limit) {
  auto at = view.scan(pins);
  bool there = after ? at.seek(after->view()) : at.first();
  if (there && after && cid_of(at.key()) == *after)
    there = at.next();
  object_page page;
  for (; there; there = at.next()) {
    if (page.items.size() == limit) {
      page.next = page.items.back().cid;
      break;
    }
    auto c = cid_of(at.key());
    auto r = load(view, c);
    auto damaged = object_info{.cid = c, .state = object_state::quarantined};
    page.items.push_back(r ? r->info(c) : damaged);
  }
  if (auto ok = at.status(); !ok)
    return std::unexpected{ok.error()};
  return page;
}

result<std::uint64_t> remove_hold(lmdb::transaction& t, const core::cid& c,
                                  const core::tenant& holder) {
  auto r = load(t, c);
  if (!r)
    return std::unexpected{r.error()};
  auto k = holder_key(c, holder);
  if (!holder.is_zero())
    if (auto held = t.get(holders, k); !held)
      return held.error().code == ec::not_found ? fail(ec::not_found, "no such object")
                                                : std::unexpected{held.error()};
  if (r->pins > 0)
    return fail(ec::conflict, "the object is pinned");
  result<void> ok;
  if (!holder.is_zero() && r->holders > 1) {
    --r->holders;
    ok = t.del(holders, k);
    if (ok)
      ok = save(t, c, *r);
    return ok ? result<std::uint64_t>{0u} : std::unexpected{ok.error()};
  }
  const auto freed = cost_of(r->size);
  ok = remove(t, c);
  if (ok)
    ok = t.put(loose, lmdb::key::of(r->number), lmdb::key::of(0u));
  if (ok)
    ok = add_to_sums(t, ~std::uint64_t{0}, std::uint64_t{0} - freed);
  return ok ? result<std::uint64_t>{freed} : std::unexpected{ok.error()};
}

result<std::uint32_t> count_holders(lmdb::transaction& t, const core::cid& c) {
  std::uint32_t n = 0;
  auto at = t.scan(holders);
  for (bool there = at.seek(c.view()); there && lmdb::starts_with(at.key(), c.view());
       there = at.next())
    ++n;
  if (auto ok = at.status(); !ok)
    return std::unexpected{ok.error()};
  return n;
}

result<sums> load_sums(const lmdb::read_view& view) {
  sums out;
  for (auto [name, to] : {std::pair{"objects", &out.objects}, {"bytes", &out.bytes}}) {
    auto v = view.get(totals, text(name));
    if (v)
      *to = lmdb::load<std::uint64_t>(*v);
    else if (v.error().code != ec::not_found)
      return std::unexpected{v.error()};
  }
  return out;
}

result<void> add_to_sums(lmdb::transaction& t, std::uint64_t more_objects,
                         std::uint64_t more_bytes) {
  for (auto [name, more] : {std::pair{"objects", more_objects}, {"bytes", more_bytes}}) {
    auto v = t.get(totals, text(name));
    if (!v && v.error().code != ec::not_found)
      return std::unexpected{v.error()};
    auto before = v ? lmdb::load<std::uint64_t>(*v) : 0;
    if (auto ok = t.put(totals, text(name), lmdb::key::of(before + more)); !ok)
      return ok;
  }
  return {};
}

result<std::uint64_t> next_number(const lmdb::read_view& view) {
  std::uint64_t next = 1;
  for (auto t : {chunks, loose}) {
    auto c = view.scan(t);
    if (c.last())
      next = std::max(next, lmdb::load<std::uint64_t>(c.key()) + 1);
    if (auto ok = c.status(); !ok)
      return std::unexpected{ok.error()};
  }
  return next;
}

result<bool> remove_some(lmdb::transaction& t, std::uint64_t number, std::size_t max) {
  auto prefix = lmdb::key::of(number);
  for (auto table : {chunks, outboard}) {
    for (;;) {
      lmdb::key found;
      {
        auto c = t.scan(table);
        if (!c.seek(prefix) || !lmdb::starts_with(c.key(), prefix)) {
          if (auto ok = c.status(); !ok)
            return std::unexpected{ok.error()};
          break;
        }
        found.add(c.key());
      }
      if (max-- == 0)
        return false;
      if (auto ok = t.del(table, found); !ok)
        return std::unexpected{ok.error()};
    }
  }
  return true;
}

} // namespace ron::storage::layout
