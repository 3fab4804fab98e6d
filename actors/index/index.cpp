#include "index/index.hpp"

namespace ron::index {

namespace {

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

result<cached_name> look_up(index_state& st, const std::string& name, found_in& source) {
  name_cache::ticket ticket = 0;
  const auto now = st.parts.clock->boot_now();
  if (auto hit = st.parts.cache->find(name, now, ticket)) {
    source = found_in::cache;
    return std::move(*hit);
  }
  source = found_in::store;
  cached_name entry;
  if (auto record = st.parts.db->find(name))
    entry.record = std::move(*record);
  else if (record.error().code != core::ec::not_found)
    return std::unexpected{record.error()};
  if (entry.record)
    if (auto text = st.parts.db->manifest(entry.record->cid))
      entry.manifest = std::move(*text);
  st.parts.cache->put(name, entry, now, ticket);
  return entry;
}

result<resolution> resolve_name(index_state& st, const resolve_key& key) {
  resolution out;
  auto entry = look_up(st, key.name, out.source);
  if (!entry)
    return std::unexpected{entry.error()};
  if (!entry->record)
    return core::fail(core::ec::not_found, "no such name");
  if (key.version != 0 && entry->record->version != key.version)
    return core::fail(core::ec::not_found,
                      "the name is at version " + std::to_string(entry->record->version)
                        + "; other versions are not kept");
  out.cid = entry->record->cid;
  out.version = entry->record->version;
  out.manifest = std::move(entry->manifest);
  return out;
}

result<resolution> resolve_cid(index_state& st, const core::cid& c) {
  auto text = st.parts.db->manifest(c);
  if (!text)
    return std::unexpected{text.error()};
  resolution out;
  out.cid = c;
  out.manifest = std::move(*text);
  return out;
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
      return answer(self->state.parts.db->find(q.name));
    },
    [self](const list_names& q) -> caf::result<name_page> {
      return answer(self->state.parts.db->list(q.prefix, q.after, q.limit));
    },
    [self](const resolve_key& key) -> caf::result<resolution> {
      return answer(key.name.empty() ? resolve_cid(self->state, key.cid)
                                     : resolve_name(self->state, key));
    },
    [self](put_manifest& w) -> caf::result<atom::ok> {
      auto promise = self->make_response_promise<atom::ok>();
      self->state.parts.db->put_manifest(w.cid, std::move(w.manifest),
                                         answer_later<void, atom::ok>(self, promise));
      return promise;
    },
    [self](const find_manifest& q) -> caf::result<manifest_text> {
      auto text = self->state.parts.db->manifest(q.cid);
      if (!text)
        return to_caf(text.error());
      return manifest_text{std::move(*text)};
    },
    [self](const find_named& q) -> caf::result<bool> {
      return answer(self->state.parts.db->named(q.cid));
    },
  };
}

} // namespace ron::index
