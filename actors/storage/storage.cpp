#include "storage/storage.hpp"

#include <atomic>
#include <string>
#include <utility>

namespace ron::storage {

namespace {

using core::ec;
using core::result;
using core::to_caf;

constexpr std::uint64_t ticks_per_maintenance = 10;

/// Names of uploads are never used again, so that a handle of a replica that has died cannot hit
/// an upload of its successor.
std::atomic<std::uint64_t> last_put_id{0};

template <class T>
caf::result<T> answer(result<T> r) {
  if (!r)
    return to_caf(r.error());
  return std::move(*r);
}

/// Runs `f` as the actor, on its shard, with an outcome that the back end reports on any thread.
template <class T, class F>
outcome<T> at_home(storage_self self, F f) {
  return [home = &self->home(), run = self->bind(std::move(f))](result<T> r) mutable {
    if (core::shard::current() == home)
      return run(std::move(r));
    home->submit([run = std::move(run), r = std::move(r)]() mutable { run(std::move(r)); });
  };
}

template <class T, class Out>
outcome<T> answer_later(storage_self self, caf::typed_response_promise<Out> promise) {
  return at_home<T>(self, [promise](result<T> r) mutable {
    if (!r)
      promise.deliver(to_caf(r.error()));
    else if constexpr (std::is_void_v<T>)
      promise.deliver(Out{});
    else
      promise.deliver(std::move(*r));
  });
}

core::error gone() {
  return {ec::timeout, "no such upload: it was idle for too long, or the store restarted"};
}

// -- uploads ----------------------------------------------------------------------------------

/// True if the caller may send the next piece now.
bool has_credit(const storage_state& st, const open_upload& p) {
  if (p.in_flight == 0)
    return true; // everybody may have one piece on its way
  return p.in_flight < st.parts.limits.put_window
         && st.parts.db->load().pending_bytes < st.parts.limits.pending_max;
}

/// A group of an upload was stored or not.
void on_stored(storage_self self, std::uint64_t id, std::uint64_t n, const result<void>& r) {
  auto& st = self->state;
  auto i = st.puts.find(id);
  if (i == st.puts.end())
    return; // committed or gone meanwhile
  auto& p = i->second;
  p.in_flight -= n;
  if (!r && !p.failed)
    p.failed = r.error();
  if (!p.waiting.pending())
    return;
  if (p.failed) {
    p.waiting.deliver(to_caf(*p.failed));
    st.puts.erase(i);
  } else if (has_credit(st, p)) {
    p.waiting.deliver(atom::ok_v);
    p.waiting = {};
  }
}

caf::result<put_handle> open(storage_self self, const open_put& o) {
  auto& st = self->state;
  if (st.parts.db->load().puts_open >= st.parts.limits.puts_max)
    return to_caf({ec::busy, "too many open uploads", 1'000});
  auto id = ++last_put_id;
  auto [i, fresh] = st.puts.try_emplace(id, st.parts.limits.object_bytes_max, o,
                                        st.parts.db->begin(o.replica ? origin::replica
                                                                     : origin::put));
  i->second.last_used = self->clock().now();
  return put_handle{id};
}

/// Ends an upload with an error for its caller.
template <class T>
caf::result<T> end_put(storage_state& st, std::uint64_t id, core::error why) {
  st.puts.erase(id);
  return to_caf(why);
}

caf::result<atom::ok> write(storage_self self, const put_write& w) {
  auto& st = self->state;
  auto i = st.puts.find(w.id);
  if (i == st.puts.end())
    return to_caf(gone());
  auto& p = i->second;
  if (p.waiting.pending()) {
    p.waiting.deliver(to_caf({ec::bad_request, "the upload was ended by its next piece"}));
    return end_put<atom::ok>(st, w.id, {ec::bad_request, "a piece before the credit for it"});
  }
  p.last_used = self->clock().now();
  if (!p.failed)
    if (auto ok = p.assembler.add(w.data.view()); !ok)
      p.failed = ok.error();
  while (!p.failed) {
    auto group = p.assembler.next();
    if (!group)
      break;
    auto n = group->data.size();
    p.in_flight += n;
    p.to->add(std::move(*group), at_home<void>(self, [self, id = w.id, n](const result<void>& r) {
                on_stored(self, id, n, r);
              }));
  }
  if (p.failed)
    return end_put<atom::ok>(st, w.id, *p.failed);
  if (has_credit(st, p))
    return atom::ok_v;
  p.waiting = self->make_response_promise<atom::ok>();
  return p.waiting;
}

caf::result<put_result> commit(storage_self self, std::uint64_t id) {
  auto& st = self->state;
  auto taken = st.puts.extract(id);
  if (taken.empty())
    return to_caf(gone());
  auto& p = taken.mapped();
  if (p.waiting.pending()) {
    p.waiting.deliver(to_caf({ec::bad_request, "the upload was ended by its commit"}));
    return to_caf({ec::bad_request, "a commit before the credit for the last piece"});
  }
  if (p.failed)
    return to_caf(*p.failed);
  auto last = p.assembler.finish();
  if (p.expected && *p.expected != last.cid)
    return to_caf({ec::digest_mismatch, "the bytes hash to " + last.cid.to_text()});
  auto promise = self->make_response_promise<put_result>();
  p.to->commit(std::move(last), p.holder, answer_later<put_result>(self, promise));
  return promise;
}

// -- scrubbing --------------------------------------------------------------------------------

/// Has a helper thread take the steps that are due. The replica of the first shard does it for all.
void scrub(storage_self self) {
  auto& parts = self->state.parts;
  if (!parts.scrub || self->home().index() != 0)
    return;
  auto order = parts.scrub->next();
  if (!order)
    return;
  bool taken = parts.readers->run(
    self->home(), [db = parts.db, o = *order] { return db->scrub(o.from, o.bytes_max); },
    self->bind([self, pass = order->pass](const result<scrub_step>& r) {
      self->state.parts.scrub->done(pass, r);
      scrub(self);
    }));
  if (!taken)
    parts.scrub->lost(); // the next tick tries again
}

// -- replication ------------------------------------------------------------------------------

/// Has helper threads move what is to be moved. The replica of the first shard does it for all.
void replicate(storage_self self) {
  auto& st = self->state;
  if (!st.parts.copies || self->home().index() != 0)
    return;
  while (st.moving < st.parts.copies->width()) {
    bool taken = st.parts.movers->run(
      self->home(), [copies = st.parts.copies] { return copies->step(); },
      self->bind([self](bool more) {
        --self->state.moving;
        if (more)
          replicate(self);
      }));
    if (!taken)
      return; // the next tick tries again
    ++st.moving;
  }
}

// -- time --------------------------------------------------------------------------------------

/// Collects uploads whose callers have gone or are too slow.
void tick(storage_self self) {
  auto& st = self->state;
  auto now = self->clock().now();
  std::erase_if(st.puts, [&](auto& entry) {
    auto& p = entry.second;
    // Who waits for credit is not idle: the store is slow.
    bool idle = !p.waiting.pending() && now - p.last_used >= st.parts.limits.put_idle;
    if (!idle && now < p.deadline)
      return false;
    if (p.waiting.pending())
      p.waiting.deliver(to_caf({ec::timeout, "the upload took too long"}));
    return true;
  });
  if (++st.ticks % ticks_per_maintenance == 0 && self->home().index() == 0)
    st.parts.db->maintain();
  scrub(self);
  replicate(self);
  self->delayed_send(self, st.parts.limits.tick, atom::tick_v);
}

// -- reads ------------------------------------------------------------------------------------

/// Answers with what a helper thread reads from the back end: `read` runs there.
template <class T, class Read>
caf::result<T> answer_when_read(storage_self self, Read read) {
  auto& parts = self->state.parts;
  auto promise = self->make_response_promise<T>();
  bool taken = parts.readers->run(
    self->home(), [db = parts.db, read = std::move(read)] { return read(*db); },
    self->bind([promise](result<T> r) mutable {
      if (r)
        promise.deliver(std::move(*r));
      else
        promise.deliver(to_caf(r.error()));
    }));
  if (!taken)
    promise.deliver(to_caf({ec::busy, "too many reads wait for the disk", 100}));
  return promise;
}

caf::result<chunk> read(storage_self self, const read_object& q) {
  if (auto now = self->state.parts.db->try_read(q.cid, q.offset, q.wanted))
    return answer(std::move(*now));
  return answer_when_read<chunk>(
    self, [q](backend& db) { return db.read(q.cid, q.offset, q.wanted); });
}

caf::result<object_info> head(storage_self self, const core::cid& c) {
  if (auto now = self->state.parts.db->try_head(c))
    return answer(std::move(*now));
  return answer_when_read<object_info>(self, [c](backend& db) { return db.head(c); });
}

caf::result<object_page> pins(storage_self self, const list_pins& q) {
  if (auto now = self->state.parts.db->try_pins(q.after, q.limit))
    return answer(std::move(*now));
  return answer_when_read<object_page>(
    self, [q](backend& db) { return db.pins(q.after, q.limit); });
}

} // namespace

storage_actor::behavior_type make_storage(storage_self self, storage_parts parts) {
  self->state.parts = std::move(parts);
  self->delayed_send(self, self->state.parts.limits.tick, atom::tick_v);
  if (self->state.parts.scrub && self->home().index() == 0)
    self->state.parts.scrub->lost(); // what a predecessor had under way
  return {
    [self](const open_put& o) { return open(self, o); },
    [self](const put_write& w) { return write(self, w); },
    [self](const put_commit& c) { return commit(self, c.id); },
    [self](const put_abort& a) {
      self->state.puts.erase(a.id);
      return atom::ok_v;
    },
    [self](const head_object& q) { return head(self, q.cid); },
    [self](const read_object& q) { return read(self, q); },
    [self](const del_object& d) -> caf::result<atom::ok> {
      auto promise = self->make_response_promise<atom::ok>();
      self->state.parts.db->del(d.cid, d.tenant, answer_later<void>(self, promise));
      return promise;
    },
    [self](const pin_object& q) -> caf::result<object_info> {
      auto promise = self->make_response_promise<object_info>();
      self->state.parts.db->pin(q.cid, answer_later<object_info>(self, promise));
      return promise;
    },
    [self](const unpin_object& q) -> caf::result<object_info> {
      auto promise = self->make_response_promise<object_info>();
      self->state.parts.db->unpin(q.cid, answer_later<object_info>(self, promise));
      return promise;
    },
    [self](const list_pins& q) { return pins(self, q); },
    [self](const scrub_store& q) -> caf::result<scrub_status> {
      auto* shared = self->state.parts.scrub.get();
      if (shared == nullptr)
        return to_caf({ec::degraded, "this store is not scrubbed"});
      if (!q.start)
        return shared->status();
      auto now = shared->ask();
      scrub(self);
      return now;
    },
    [self](const keep_copy& q) -> caf::result<bool> {
      auto promise = self->make_response_promise<bool>();
      self->state.parts.db->keep(q.cid, q.node, answer_later<bool>(self, promise));
      return promise;
    },
    [self](const release_copy& q) -> caf::result<atom::ok> {
      auto promise = self->make_response_promise<atom::ok>();
      self->state.parts.db->release(q.cid, q.node, q.named, answer_later<void>(self, promise));
      return promise;
    },
    [self](identify_store) -> caf::result<store_identity> {
      auto promise = self->make_response_promise<store_identity>();
      self->state.parts.db->identify(
        at_home<store_id>(self, [promise](const result<store_id>& r) mutable {
          if (r)
            promise.deliver(store_identity{*r});
          else
            promise.deliver(to_caf(r.error()));
        }));
      return promise;
    },
    [self](ask_replication) -> caf::result<replication_stats> {
      if (const auto* copies = self->state.parts.copies.get())
        return copies->stats();
      return to_caf({ec::degraded, "this node has no peers (storage.peers)"});
    },
    [self](atom::status) { return self->state.parts.db->stats(); },
    [self](atom::tick) { tick(self); },
  };
}

} // namespace ron::storage
