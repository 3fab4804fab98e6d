#include "storage/lmdb_layout.hpp"

#include <string_view>

namespace ron::storage::layout {

using core::byte_view;
using core::ec;
using core::fail;
using core::result;

namespace {

constexpr std::size_t record_bytes = 8 + 8 + 1 + 4 + 4 + 8;

byte_view text(std::string_view s) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

result<record> decode(result<byte_view> v) {
  if (!v)
    return v.error().code == ec::not_found ? fail(ec::not_found, "no such object")
                                           : std::unexpected{v.error()};
  record r;
  auto state = lmdb::load<std::uint8_t>(*v, 16);
  if (v->size() != record_bytes || (state != 1 && state != 2))
    return fail(ec::internal, "storage: a record that makes no sense");
  r.number = lmdb::load<std::uint64_t>(*v, 0);
  r.size = lmdb::load<std::uint64_t>(*v, 8);
  r.state = static_cast<object_state>(state);
  r.pins = lmdb::load<std::uint32_t>(*v, 17);
  r.holders = lmdb::load<std::uint32_t>(*v, 21);
  r.last_put_ms = static_cast<std::int64_t>(lmdb::load<std::uint64_t>(*v, 25));
  return r;
}

} // namespace

std::vector<std::string> table_names() {
  return {"objects", "holders", "chunks", "outboard", "loose", "totals"};
}

result<record> load(const lmdb::read_view& view, const core::cid& c) {
  return decode(view.get(objects, c.view()));
}

result<record> load(lmdb::transaction& t, const core::cid& c) {
  return decode(t.get(objects, c.view()));
}

result<void> save(lmdb::transaction& t, const core::cid& c, const record& r) {
  auto value = lmdb::key::of(r.number, r.size, static_cast<std::uint8_t>(r.state), r.pins,
                             r.holders, static_cast<std::uint64_t>(r.last_put_ms));
  return t.put(objects, c.view(), value);
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

} // namespace ron::storage::layout
