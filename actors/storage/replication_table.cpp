#include "storage/replication_table.hpp"

#include "core/ids.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

namespace ron::storage::layout {

using core::byte_view;
using core::ec;
using core::result;

namespace {

constexpr std::size_t own_hold_bytes = 8;
constexpr std::uint8_t copy_bit = 1;
constexpr std::uint8_t repair_bit = 2;

byte_view text(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

core::cid cid_of(byte_view key) noexcept {
  core::cid c;
  std::copy_n(key.begin(), std::min(key.size(), c.hash.size()), c.hash.begin());
  return c;
}

result<void> forgive_missing(result<void> r) {
  return r || r.error().code == ec::not_found ? result<void>{} : r;
}

/// A value of the tables `work` and `releases`: duties u8, then a u64 for each peer served.
struct row {
  std::uint8_t duties = 0;
  std::vector<peer_key> served;

  static row decode(byte_view v) {
    row r;
    r.duties = lmdb::load<std::uint8_t>(v);
    for (std::size_t at = 1; at + 8 <= v.size() && r.served.size() < served_max; at += 8)
      r.served.push_back(lmdb::load<peer_key>(v, at));
    return r;
  }
  lmdb::key encode() const noexcept {
    auto k = lmdb::key::of(duties);
    for (auto p : served)
      k.add(p);
    return k;
  }
};

/// The row of an object; without duties if there is none.
result<row> load_row(lmdb::transaction& t, lmdb::table from, const core::cid& c) {
  auto v = t.get(from, c.view());
  if (v)
    return row::decode(*v);
  if (v.error().code == ec::not_found)
    return row{};
  return std::unexpected{v.error()};
}

result<void> save_row(lmdb::transaction& t, lmdb::table to, const core::cid& c, const row& r) {
  return r.duties == 0 ? forgive_missing(t.del(to, c.view())) : t.put(to, c.view(), r.encode());
}

result<std::vector<work_item>> rows_after(const lmdb::read_view& view, lmdb::table from,
                                          const std::optional<core::cid>& after,
                                          std::size_t limit) {
  std::vector<work_item> out;
  auto at = view.scan(from);
  bool there = after ? at.seek(after->view()) : at.first();
  if (there && after && cid_of(at.key()) == *after)
    there = at.next();
  for (; there && out.size() < limit; there = at.next()) {
    auto r = row::decode(at.value());
    auto what = duty::release;
    if (from == work)
      what = (r.duties & repair_bit) != 0 ? duty::repair : duty::copy;
    if (what == duty::repair)
      r.served.clear(); // they are of the copy that comes after it
    out.push_back({cid_of(at.key()), what, std::move(r.served)});
  }
  if (auto ok = at.status(); !ok)
    return std::unexpected{ok.error()};
  return out;
}

} // namespace

result<std::vector<work_item>> work_after(const lmdb::read_view& view,
                                          const std::optional<core::cid>& after,
                                          std::size_t limit) {
  return rows_after(view, work, after, limit);
}

result<std::vector<work_item>> releases_after(const lmdb::read_view& view,
                                              const std::optional<core::cid>& after,
                                              std::size_t limit) {
  return rows_after(view, releases, after, limit);
}

// -- notes ------------------------------------------------------------------------------------

result<void> note_copy(lmdb::transaction& t, const core::cid& c) {
  if (auto ok = forgive_missing(t.del(releases, c.view())); !ok)
    return ok;
  auto r = load_row(t, work, c);
  if (!r)
    return std::unexpected{r.error()};
  r->duties |= copy_bit;
  r->served.clear();
  return save_row(t, work, c, *r);
}

result<void> note_repair(lmdb::transaction& t, const core::cid& c) {
  auto r = load_row(t, work, c);
  if (!r)
    return std::unexpected{r.error()};
  r->duties |= repair_bit;
  return save_row(t, work, c, *r);
}

result<bool> note_release(lmdb::transaction& t, const core::cid& c, std::uint64_t max) {
  auto r = load_row(t, work, c);
  if (!r)
    return std::unexpected{r.error()};
  r->duties &= static_cast<std::uint8_t>(~copy_bit);
  r->served.clear();
  if (auto ok = save_row(t, work, c, *r); !ok)
    return std::unexpected{ok.error()};
  if (t.entries(releases) >= max)
    return false;
  if (auto ok = save_row(t, releases, c, {1, {}}); !ok)
    return std::unexpected{ok.error()};
  return true;
}

namespace {

/// True if a duty that was found pointless is to be done by now.
result<bool> has_come_back(lmdb::transaction& t, const settlement& s) {
  if (s.what != duty::repair)
    return is_own(t, s.cid);
  const auto r = load(t, s.cid);
  if (!r && r.error().code == ec::not_found)
    return false;
  if (!r && r.error().code != ec::bad_digest)
    return std::unexpected{r.error()};
  return !r || r->state != object_state::complete;
}

} // namespace

result<void> settle_work(lmdb::transaction& t, const settlement& s) {
  if (s.pointless)
    if (auto back = has_come_back(t, s); !back || *back)
      return back ? result<void>{} : std::unexpected{back.error()};
  const auto from = s.what == duty::release ? releases : work;
  const auto bit = s.what == duty::repair ? repair_bit : copy_bit;
  auto r = load_row(t, from, s.cid);
  if (!r)
    return std::unexpected{r.error()};
  if ((r->duties & bit) == 0)
    return {};
  if (s.peer) {
    if (r->served.size() >= served_max || std::ranges::contains(r->served, *s.peer))
      return {};
    r->served.push_back(*s.peer);
  } else {
    r->duties &= static_cast<std::uint8_t>(~bit);
    if (bit == copy_bit)
      r->served.clear();
  }
  return save_row(t, from, s.cid, *r);
}

// -- holds ------------------------------------------------------------------------------------

lmdb::key hold_value(std::int64_t now_ms, bool of_node) noexcept {
  auto k = lmdb::key::of(static_cast<std::uint64_t>(now_ms));
  if (of_node)
    k.add(std::uint8_t{1});
  return k;
}

bool of_node(byte_view hold) noexcept {
  return hold.size() > own_hold_bytes;
}

result<bool> is_own(lmdb::transaction& t, const core::cid& c) {
  auto at = t.scan(holders);
  for (bool there = at.seek(c.view()); there && lmdb::starts_with(at.key(), c.view());
       there = at.next())
    if (!of_node(at.value()))
      return true;
  if (auto ok = at.status(); !ok)
    return std::unexpected{ok.error()};
  return false;
}

// -- the walk ---------------------------------------------------------------------------------

namespace {

constexpr std::string_view walk_key = "walk";
constexpr std::string_view identity_key = "identity";

result<walk_state> load_walk(lmdb::transaction& t) {
  walk_state s;
  auto v = t.get(totals, text(walk_key));
  if (!v)
    return v.error().code == ec::not_found ? result<walk_state>{s} : std::unexpected{v.error()};
  s.mark = lmdb::load<std::uint64_t>(*v);
  s.running = lmdb::load<std::uint8_t>(*v, 8) != 0;
  s.audit = lmdb::load<std::uint8_t>(*v, 9) != 0;
  s.walked = lmdb::load<std::uint64_t>(*v, 10);
  constexpr std::size_t fields = 18;
  if (v->size() > fields)
    s.place = cid_of(v->subspan(fields));
  return s;
}

result<void> save_walk(lmdb::transaction& t, const walk_state& s) {
  auto k = lmdb::key::of(s.mark, static_cast<std::uint8_t>(s.running),
                         static_cast<std::uint8_t>(s.audit), s.walked);
  if (s.place)
    k.add(s.place->view());
  return t.put(totals, text(walk_key), k);
}

/// The ids of the next objects.
result<std::vector<core::cid>> objects_after(lmdb::transaction& t,
                                             const std::optional<core::cid>& after,
                                             std::size_t limit) {
  std::vector<core::cid> out;
  auto at = t.scan(objects);
  bool there = after ? at.seek(after->view()) : at.first();
  if (there && after && cid_of(at.key()) == *after)
    there = at.next();
  for (; there && out.size() < limit; there = at.next())
    out.push_back(cid_of(at.key()));
  if (auto ok = at.status(); !ok)
    return std::unexpected{ok.error()};
  return out;
}

/// Puts an object on the list unless it is there or only another node's copy.
result<void> visit(lmdb::transaction& t, const core::cid& c) {
  auto own = is_own(t, c);
  if (!own)
    return std::unexpected{own.error()};
  if (!*own)
    return {};
  auto r = load_row(t, work, c);
  if (!r)
    return std::unexpected{r.error()};
  return (r->duties & copy_bit) != 0 ? result<void>{} : note_copy(t, c);
}

} // namespace

result<walk_state> walk(lmdb::transaction& t, const walk_order& order) {
  auto s = load_walk(t);
  if (!s)
    return s;
  if (s->mark != order.mark)
    *s = {.mark = order.mark, .running = true};
  else if (!s->running && order.again)
    *s = {.mark = order.mark, .running = true, .audit = true};
  if (!s->running)
    return s;
  auto next = objects_after(t, s->place, order.limit);
  if (!next)
    return std::unexpected{next.error()};
  for (const auto& c : *next)
    if (auto ok = visit(t, c); !ok)
      return std::unexpected{ok.error()};
  s->walked += next->size();
  if (!next->empty())
    s->place = next->back();
  s->running = next->size() == order.limit;
  if (!s->running)
    s->place.reset();
  if (auto ok = save_walk(t, *s); !ok)
    return std::unexpected{ok.error()};
  return s;
}

result<void> forget_walk(lmdb::transaction& t) {
  return forgive_missing(t.del(totals, text(walk_key)));
}

result<store_id> identity(lmdb::transaction& t) {
  store_id id;
  auto v = t.get(totals, text(identity_key));
  if (v && v->size() == id.id.size()) {
    std::ranges::copy(*v, id.id.begin());
    return id;
  }
  if (!v && v.error().code != ec::not_found)
    return std::unexpected{v.error()};
  core::random_bytes(id.id);
  if (auto ok = t.put(totals, text(identity_key), id.view()); !ok)
    return std::unexpected{ok.error()};
  return id;
}

} // namespace ron::storage::layout
