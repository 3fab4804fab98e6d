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

/// The outcome of a write of the store, which comes on any thread, as the answer of the request
/// that waits for it on this shard.
template <class T, class Out>
written<T> reply_later(index_self self, caf::typed_response_promise<Out> promise,
                       Out (*convert)(T&&)) {
  return [self = caf::strong_actor_ptr{self->ctrl()}, home = &self->home(), promise,
          convert](result<T> r) mutable {
    // A shard that is closed already has ended its actors; nobody waits for this answer any more.
    home->submit([self, promise, convert, r = std::move(r)]() mutable {
      if (r)
        promise.deliver(convert(std::move(*r)));
      else
        promise.deliver(to_caf(r.error()));
    });
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
      auto then = reply_later<name_written, name_written>(
        self, promise, [](name_written&& r) { return std::move(r); });
      auto& p = self->state.parts;
      auto name = w.name;
      p.db->put(std::move(w), [cache = p.cache, name = std::move(name),
                               then = std::move(then)](result<name_written> r) mutable {
        cache->drop(name);
        then(std::move(r));
      });
      return promise;
    },
    [self](del_name& w) -> caf::result<name_record> {
      auto promise = self->make_response_promise<name_record>();
      auto then = reply_later<name_record, name_record>(
        self, promise, [](name_record&& r) { return std::move(r); });
      auto& p = self->state.parts;
      auto name = w.name;
      p.db->del(std::move(w), [cache = p.cache, name = std::move(name),
                               then = std::move(then)](result<name_record> r) mutable {
        cache->drop(name);
        then(std::move(r));
      });
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
      auto& p = self->state.parts;
      p.db->put_manifest(w.cid, std::move(w.manifest),
                         [self = caf::strong_actor_ptr{self->ctrl()}, home = &self->home(),
                          promise](result<void> r) mutable {
                           home->submit([self, promise, r = std::move(r)]() mutable {
                             if (r)
                               promise.deliver(atom::ok_v);
                             else
                               promise.deliver(to_caf(r.error()));
                           });
                         });
      return promise;
    },
    [self](const find_manifest& q) -> caf::result<manifest_text> {
      auto text = self->state.parts.db->manifest(q.cid);
      if (!text)
        return to_caf(text.error());
      return manifest_text{std::move(*text)};
    },
  };
}

} // namespace ron::index
