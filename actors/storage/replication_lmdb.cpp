#include "storage/replication_lmdb.hpp"

#include "storage/lmdb_layout.hpp"
#include "storage/replication_table.hpp"

#include <functional>
#include <memory>
#include <utility>

namespace ron::storage {

using core::ec;
using core::result;
using core::store::transaction;
using core::store::write_job;

namespace {

/// A small commit that reports what `apply` returned. `frees`: it may use the room that is kept
/// for deletes.
template <class T, class F>
void change(const lmdb_parts& parts, bool frees, F apply, outcome<T> then) {
  auto out = std::make_shared<T>();
  write_job job;
  job.bytes = 256;
  job.frees = frees;
  job.apply = [out, apply = std::move(apply)](transaction& t) -> result<void> {
    auto r = apply(t);
    if (!r)
      return std::unexpected{r.error()};
    *out = std::move(*r);
    return {};
  };
  job.then = [out, parts, then = std::move(then)](const result<void>& r) mutable {
    parts.note(r);
    if (r)
      then(std::move(*out));
    else
      then(std::unexpected{r.error()});
  };
  parts.log.submit(std::move(job));
}

result<bool> keep_for(transaction& t, const core::cid& c, const store_id& node,
                      std::int64_t now_ms) {
  auto r = layout::load(t, c);
  if (!r && (r.error().code == ec::not_found || r.error().code == ec::bad_digest))
    return false;
  if (!r)
    return std::unexpected{r.error()};
  if (r->state != object_state::complete)
    return false;
  const auto k = layout::holder_key(c, node);
  auto before = t.get(layout::holders, k);
  if (before)
    return true;
  if (before.error().code != ec::not_found)
    return std::unexpected{before.error()};
  ++r->holders;
  auto ok = t.put(layout::holders, k, layout::hold_value(now_ms, true));
  if (ok)
    ok = layout::save(t, c, *r);
  return ok ? result<bool>{true} : std::unexpected{ok.error()};
}

result<hold_end> release_for(transaction& t, const core::cid& c, const store_id& node,
                             bool needed) {
  auto hold = t.get(layout::holders, layout::holder_key(c, node));
  if (!hold && hold.error().code != ec::not_found)
    return std::unexpected{hold.error()};
  if (!hold || !layout::of_node(*hold))
    return hold_end{};
  auto r = layout::load(t, c);
  if (!r && r.error().code == ec::not_found)
    return hold_end{};
  if (!r)
    return std::unexpected{r.error()};
  if (r->holders <= 1 && (needed || r->pins > 0))
    return hold_end{};
  if (r->holders > 1) {
    --r->holders;
    auto ok = t.del(layout::holders, layout::holder_key(c, node));
    if (ok)
      ok = layout::save(t, c, *r);
    return ok ? result<hold_end>{hold_end{}} : std::unexpected{ok.error()};
  }
  auto freed = layout::remove_hold(t, c, node);
  return freed ? result<hold_end>{hold_end{.freed = *freed}} : std::unexpected{freed.error()};
}

} // namespace

result<std::vector<work_item>> lmdb_copies::work(const std::optional<core::cid>& after,
                                                 std::size_t limit) {
  auto view = env_.wait_and_read();
  if (!view)
    return std::unexpected{view.error()};
  return layout::work_after(*view, after, limit);
}

result<std::vector<work_item>> lmdb_copies::releases(const std::optional<core::cid>& after,
                                                     std::size_t limit) {
  auto view = env_.wait_and_read();
  if (!view)
    return std::unexpected{view.error()};
  return layout::releases_after(*view, after, limit);
}

void lmdb_copies::settle(const settlement& s, outcome<void> then) {
  write_job job;
  job.bytes = 256;
  job.frees = true;
  job.apply = [s](transaction& t) { return layout::settle_work(t, s); };
  job.then = [parts = parts_, then = std::move(then)](const result<void>& r) mutable {
    parts.note(r);
    then(r);
  };
  parts_.log.submit(std::move(job));
}

void lmdb_copies::walk(const walk_order& order, outcome<walk_state> then) {
  change<walk_state>(parts_, false, [order](transaction& t) { return layout::walk(t, order); },
                     std::move(then));
}

void lmdb_copies::identify(outcome<store_id> then) {
  std::optional<store_id> known;
  {
    std::lock_guard guard{mutex_};
    known = identity_;
  }
  if (known)
    return then(*known);
  change<store_id>(parts_, true, [](transaction& t) { return layout::identity(t); },
                   [this, then = std::move(then)](result<store_id> r) mutable {
                     if (r) {
                       std::lock_guard guard{mutex_};
                       identity_ = *r;
                     }
                     then(std::move(r));
                   });
}

void lmdb_copies::keep(const core::cid& c, const store_id& node, outcome<bool> then) {
  change<bool>(parts_, false,
               [c, node, now = parts_.clock.wall_ms()](transaction& t) {
                 return keep_for(t, c, node, now);
               },
               std::move(then));
}

void lmdb_copies::release(const core::cid& c, const store_id& node, bool needed,
                          outcome<void> then) {
  change<hold_end>(parts_, true,
                   [c, node, needed](transaction& t) { return release_for(t, c, node, needed); },
                   [parts = parts_, then = std::move(then)](result<hold_end> r) mutable {
                     if (!r)
                       return then(std::unexpected{r.error()});
                     parts.ended(*r);
                     then({});
                   });
}

void lmdb_copies::forget_walk() {
  write_job job;
  job.bytes = 64;
  job.frees = true;
  job.apply = [](transaction& t) { return layout::forget_walk(t); };
  job.then = [parts = parts_](const result<void>& r) { parts.note(r); };
  parts_.log.submit(std::move(job));
}

void lmdb_copies::want_repair(const core::cid& c) {
  if (!parts_.notes.others)
    return;
  write_job job;
  job.bytes = 64;
  job.frees = true;
  job.apply = [c](transaction& t) { return layout::note_repair(t, c); };
  job.then = [parts = parts_](const result<void>& r) { parts.note(r); };
  parts_.log.submit(std::move(job));
}

result<void> lmdb_copies::end_hold(transaction& t, const core::cid& c, const core::tenant& holder,
                                   hold_end& end) {
  end = {};
  result<bool> own = false;
  if (parts_.notes.others)
    own = layout::is_own(t, c);
  if (!own)
    return std::unexpected{own.error()};
  auto freed = layout::remove_hold(t, c, holder);
  if (!freed)
    return std::unexpected{freed.error()};
  end.freed = *freed;
  if (!*own)
    return {};
  if (auto still = layout::is_own(t, c); !still || *still)
    return still ? result<void>{} : std::unexpected{still.error()};
  auto noted = layout::note_release(t, c, parts_.notes.releases_max);
  if (!noted)
    return std::unexpected{noted.error()};
  end.lost = !*noted;
  return {};
}

} // namespace ron::storage
