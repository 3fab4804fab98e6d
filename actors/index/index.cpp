#include "index/index.hpp"

namespace ron::index {

namespace {

using core::ec;
using core::result;
using core::to_caf;

template <class T>
caf::result<T> answer(result<T> r) {
  if (!r)
    return to_caf(r.error());
  return std::move(*r);
}

/// A handler for the outcome of a write, which the store calls on any thread: it answers the
/// request that waits on this shard. A shard that has closed ended its actors before; nobody waits
/// for the answer then.
template <class T, class Out>
written<T> answer_later(index_self self, caf::typed_response_promise<Out> promise) {
  auto deliver = self->bind([promise](result<T> r) mutable {
    if (!r)
      promise.deliver(to_caf(r.error()));
    else if constexpr (std::is_void_v<T>)
      promise.deliver(Out{});
    else
      promise.deliver(std::move(*r));
  });
  return [home = &self->home(), deliver = std::move(deliver)](result<T> r) mutable {
    home->submit([deliver = std::move(deliver), r = std::move(r)]() mutable {
      deliver(std::move(r));
    });
  };
}

/// As `answer_later`, and the cache forgets the name before anybody hears of the write.
template <class T>
written<T> forget_then_answer(index_self self, const std::string& name,
                              caf::typed_response_promise<T> promise) {
  return [cache = self->state.parts.cache, name,
          then = answer_later<T, T>(self, promise)](result<T> r) mutable {
    cache->drop(name);
    then(std::move(r));
  };
}

/// Answers with what a helper thread reads: `read` runs there, `finish` with its outcome on this
/// shard, as the actor.
template <class Out, class Read, class Finish>
caf::result<Out> answer_when_read(index_self self, Read read, Finish finish) {
  auto promise = self->make_response_promise<Out>();
  auto& parts = self->state.parts;
  const bool taken = parts.readers->run(
    self->home(), [db = parts.db, read = std::move(read)] { return read(*db); },
    self->bind([promise, finish = std::move(finish)](auto r) mutable {
      if (auto out = finish(std::move(r)))
        promise.deliver(std::move(*out));
      else
        promise.deliver(to_caf(out.error()));
    }));
  if (!taken)
    promise.deliver(to_caf({ec::busy, "too many lookups wait for the disk", 100}));
  return promise;
}

/// What was read is the answer.
template <class T>
result<T> as_it_is(result<T> r) {
  return r;
}

// -- names ------------------------------------------------------------------------------------

/// A name and the manifest of its object. Nothing if that has to come from a disk and nobody may
/// wait.
maybe<cached_name> look_up(store& db, const std::string& name, bool may_wait) {
  auto record = may_wait ? db.find(name) : db.try_find(name);
  if (!record)
    return std::nullopt;
  cached_name entry;
  if (*record)
    entry.record = std::move(**record);
  else if (record->error().code == ec::not_found)
    return entry;
  else
    return std::unexpected{record->error()};
  const auto& c = entry.record->cid;
  auto text = may_wait ? db.manifest(c) : db.try_manifest(c);
  if (!text)
    return std::nullopt;
  if (*text)
    entry.manifest = std::move(**text);
  else if (text->error().code != ec::not_found)
    return std::unexpected{text->error()};
  return entry;
}

result<resolution> resolution_of(const resolve_key& key, cached_name entry, found_in source) {
  if (!entry.record)
    return core::fail(ec::not_found, "no such name");
  if (key.version != 0 && entry.record->version != key.version)
    return core::fail(ec::not_found,
                      "the name is at version " + std::to_string(entry.record->version)
                        + "; other versions are not kept");
  resolution out;
  out.cid = entry.record->cid;
  out.version = entry.record->version;
  out.manifest = std::move(entry.manifest);
  out.source = source;
  return out;
}

caf::result<resolution> resolve_name(index_self self, const resolve_key& key) {
  auto& parts = self->state.parts;
  name_cache::ticket ticket = 0;
  const auto now = parts.clock->boot_now();
  if (auto hit = parts.cache->find(key.name, now, ticket))
    return answer(resolution_of(key, std::move(*hit), found_in::cache));
  auto finish = [cache = parts.cache.get(), now, ticket](const resolve_key& of,
                                                         result<cached_name> r) {
    if (!r)
      return result<resolution>{std::unexpected{r.error()}};
    cache->put(of.name, *r, now, ticket);
    return resolution_of(of, std::move(*r), found_in::store);
  };
  if (auto entry = look_up(*parts.db, key.name, false))
    return answer(finish(key, std::move(*entry)));
  return answer_when_read<resolution>(
    self, [name = key.name](store& db) { return *look_up(db, name, true); },
    [key, finish](result<cached_name> r) { return finish(key, std::move(r)); });
}

// -- objects ----------------------------------------------------------------------------------

result<resolution> resolution_of(const core::cid& c, result<std::string> manifest) {
  if (!manifest)
    return std::unexpected{manifest.error()};
  resolution out;
  out.cid = c;
  out.manifest = std::move(*manifest);
  return out;
}

caf::result<resolution> resolve_cid(index_self self, const core::cid& c) {
  if (auto text = self->state.parts.db->try_manifest(c))
    return answer(resolution_of(c, std::move(*text)));
  return answer_when_read<resolution>(
    self, [c](store& db) { return db.manifest(c); },
    [c](result<std::string> text) { return resolution_of(c, std::move(text)); });
}

result<manifest_text> as_message(result<std::string> text) {
  if (!text)
    return std::unexpected{text.error()};
  return manifest_text{std::move(*text)};
}

} // namespace

std::string_view to_string(found_in f) noexcept {
  switch (f) {
    case found_in::cache:
      return "cache";
    case found_in::store:
      return "store";
    case found_in::dht:
      break;
  }
  return "dht";
}

index_actor::behavior_type make_index(index_self self, index_parts parts) {
  self->state.parts = std::move(parts);
  return {
    [self](put_name& w) -> caf::result<name_written> {
      auto promise = self->make_response_promise<name_written>();
      auto then = forget_then_answer<name_written>(self, w.name, promise);
      self->state.parts.db->put(std::move(w), std::move(then));
      return promise;
    },
    [self](del_name& w) -> caf::result<name_record> {
      auto promise = self->make_response_promise<name_record>();
      auto then = forget_then_answer<name_record>(self, w.name, promise);
      self->state.parts.db->del(std::move(w), std::move(then));
      return promise;
    },
    [self](const find_name& q) -> caf::result<name_record> {
      if (auto now = self->state.parts.db->try_find(q.name))
        return answer(std::move(*now));
      return answer_when_read<name_record>(
        self, [name = q.name](store& db) { return db.find(name); }, as_it_is<name_record>);
    },
    [self](const list_names& q) -> caf::result<name_page> {
      if (auto now = self->state.parts.db->try_list(q.prefix, q.after, q.limit))
        return answer(std::move(*now));
      return answer_when_read<name_page>(
        self, [q](store& db) { return db.list(q.prefix, q.after, q.limit); },
        as_it_is<name_page>);
    },
    [self](const resolve_key& key) -> caf::result<resolution> {
      return key.name.empty() ? resolve_cid(self, key.cid) : resolve_name(self, key);
    },
    [self](put_manifest& w) -> caf::result<atom::ok> {
      auto promise = self->make_response_promise<atom::ok>();
      self->state.parts.db->put_manifest(w.cid, std::move(w.manifest),
                                         answer_later<void, atom::ok>(self, promise));
      return promise;
    },
    [self](const find_manifest& q) -> caf::result<manifest_text> {
      if (auto now = self->state.parts.db->try_manifest(q.cid))
        return answer(as_message(std::move(*now)));
      return answer_when_read<manifest_text>(
        self, [c = q.cid](store& db) { return db.manifest(c); }, as_message);
    },
    [self](const find_named& q) -> caf::result<bool> {
      if (auto now = self->state.parts.db->try_named(q.cid))
        return answer(std::move(*now));
      return answer_when_read<bool>(
        self, [c = q.cid](store& db) { return db.named(c); }, as_it_is<bool>);
    },
  };
}

} // namespace ron::index
