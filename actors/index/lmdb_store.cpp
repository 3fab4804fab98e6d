#include "index/lmdb_store.hpp"

#include "core/store/key.hpp"
#include "core/store/store_watch.hpp"
#include "index/layout.hpp"

#include <algorithm>

namespace ron::index {

namespace {

namespace lmdb = core::store;
using core::ec;
using core::fail;
using core::result;

using layout::decode;
using layout::encode;
using layout::named_key;
using layout::text_view;

result<std::optional<name_record>> current(lmdb::transaction& t, const std::string& name) {
  auto v = t.get(layout::names, text_view(name));
  if (!v) {
    if (v.error().code == ec::not_found)
      return std::optional<name_record>{};
    return std::unexpected{v.error()};
  }
  auto r = decode(name, *v);
  if (!r)
    return std::unexpected{r.error()};
  return std::optional{std::move(*r)};
}

result<std::uint64_t> next_version(lmdb::transaction& t) {
  const auto key = text_view("version");
  std::uint64_t last = 0;
  if (auto v = t.get(layout::counters, key))
    last = lmdb::load<std::uint64_t>(*v);
  else if (v.error().code != ec::not_found)
    return std::unexpected{v.error()};
  if (auto ok = t.put(layout::counters, key, lmdb::key::of(last + 1)); !ok)
    return std::unexpected{ok.error()};
  return last + 1;
}

result<void> bring_up_to_date(lmdb::transaction& t, std::uint32_t) {
  std::string last;
  for (;;) {
    core::cid cid;
    {
      // Keys and values are valid until the next write only, so each step looks anew.
      auto at = t.scan(layout::names);
      bool there = last.empty() ? at.first() : at.seek(text_view(last)) && at.next();
      if (!there)
        return at.status();
      last.assign(reinterpret_cast<const char*>(at.key().data()), at.key().size());
      auto r = decode(last, at.value());
      if (!r)
        return std::unexpected{r.error()};
      cid = r->cid;
    }
    if (auto ok = t.put(layout::named, named_key(cid, last), {}); !ok)
      return ok;
  }
}

/// Notes that a name has left its object.
result<void> leave(lmdb::transaction& t, const name_record& r) {
  auto ok = t.del(layout::named, named_key(r.cid, r.name));
  return ok || ok.error().code == ec::not_found ? result<void>{} : ok;
}

result<name_written> apply_put(lmdb::transaction& t, const put_name& w, std::int64_t now_ms) {
  auto before = current(t, w.name);
  if (!before)
    return std::unexpected{before.error()};
  auto version = *before ? std::optional{(*before)->version} : std::nullopt;
  if (auto ok = w.when.check(version); !ok)
    return std::unexpected{ok.error()};
  auto fresh = next_version(t);
  if (!fresh)
    return std::unexpected{fresh.error()};
  name_record r{w.name, w.cid, *fresh, now_ms, w.ttl_s};
  if (auto ok = t.put(layout::names, text_view(w.name), encode(r)); !ok)
    return std::unexpected{ok.error()};
  if (*before && (*before)->cid != w.cid)
    if (auto ok = leave(t, **before); !ok)
      return std::unexpected{ok.error()};
  if (auto ok = t.put(layout::named, named_key(w.cid, w.name), {}); !ok)
    return std::unexpected{ok.error()};
  if (!w.manifest.empty())
    if (auto ok = t.put(layout::manifests, w.cid.view(), text_view(w.manifest)); !ok)
      return std::unexpected{ok.error()};
  return name_written{std::move(r), !version};
}

result<name_record> apply_del(lmdb::transaction& t, const del_name& w) {
  auto before = current(t, w.name);
  if (!before)
    return std::unexpected{before.error()};
  auto version = *before ? std::optional{(*before)->version} : std::nullopt;
  if (auto ok = w.when.check(version); !ok)
    return std::unexpected{ok.error()};
  if (!version)
    return fail(ec::not_found, "no such name");
  if (auto ok = t.del(layout::names, text_view(w.name)); !ok)
    return std::unexpected{ok.error()};
  if (auto ok = leave(t, **before); !ok)
    return std::unexpected{ok.error()};
  return std::move(**before);
}

class lmdb_store final : public store {
public:
  lmdb_store(std::unique_ptr<lmdb::environment> env, const core::clock& clock,
             lmdb::faults* injected)
    : env_(std::move(env)), clock_(clock), writer_(*env_, {}, injected) {
    // nop
  }

  void put(put_name w, written<name_written> then) override {
    const auto bytes =
      layout::record_bytes + w.cid.hash.size() + 2 * w.name.size() + w.manifest.size();
    submit<name_written>(
      bytes, false,
      [w = std::move(w), now = clock_.wall_ms()](lmdb::transaction& t) {
        return apply_put(t, w, now);
      },
      std::move(then));
  }

  void del(del_name w, written<name_record> then) override {
    submit<name_record>(
      layout::record_bytes, true,
      [w = std::move(w)](lmdb::transaction& t) { return apply_del(t, w); }, std::move(then));
  }

  void put_manifest(core::cid c, std::string manifest, written<void> then) override {
    lmdb::write_job job;
    job.bytes = manifest.size() + c.hash.size();
    job.apply = [c, manifest = std::move(manifest)](lmdb::transaction& t) {
      return t.put(layout::manifests, c.view(), text_view(manifest));
    };
    job.then = std::move(then);
    writer_.submit(std::move(job));
  }

  result<name_record> find(std::string_view name) override {
    const auto call = watch_.enter(clock_.now());
    auto view = env_->read();
    if (!view)
      return std::unexpected{view.error()};
    auto v = view->get(layout::names, text_view(name));
    if (!v)
      return fail(v.error().code, v.error().code == ec::not_found ? "no such name"
                                                                   : v.error().message);
    return decode(name, *v);
  }

  result<name_page> list(std::string_view prefix, std::string_view after,
                         std::size_t limit) override {
    const auto call = watch_.enter(clock_.now());
    auto view = env_->read();
    if (!view)
      return std::unexpected{view.error()};
    auto at = view->scan(layout::names);
    const auto from = std::max(prefix, after);
    bool there = from.empty() ? at.first() : at.seek(text_view(from));
    name_page page;
    for (; there && lmdb::starts_with(at.key(), text_view(prefix)); there = at.next()) {
      std::string name{reinterpret_cast<const char*>(at.key().data()), at.key().size()};
      if (name == after)
        continue;
      if (page.items.size() == limit) {
        page.next = page.items.back().name;
        break;
      }
      auto r = decode(name, at.value());
      if (!r)
        return std::unexpected{r.error()};
      page.items.push_back(std::move(*r));
    }
    if (auto ok = at.status(); !ok)
      return std::unexpected{ok.error()};
    return page;
  }

  result<std::string> manifest(const core::cid& c) override {
    const auto call = watch_.enter(clock_.now());
    auto view = env_->read();
    if (!view)
      return std::unexpected{view.error()};
    auto v = view->get(layout::manifests, c.view());
    if (!v)
      return fail(v.error().code, v.error().code == ec::not_found
                                    ? "no manifest is known for this object"
                                    : v.error().message);
    return std::string{reinterpret_cast<const char*>(v->data()), v->size()};
  }

  result<bool> named(const core::cid& c) override {
    const auto call = watch_.enter(clock_.now());
    auto view = env_->read();
    if (!view)
      return std::unexpected{view.error()};
    auto at = view->scan(layout::named);
    const bool there = at.seek(c.view()) && lmdb::starts_with(at.key(), c.view());
    if (auto ok = at.status(); !ok)
      return std::unexpected{ok.error()};
    return there;
  }

  void maintain() override {
    env_->clear_stale_readers();
    const auto writing = lmdb::progress_of(writer_.stats());
    watch_.look(clock_.now(), {&writing, 1}, env_->path());
  }
  bool stalled() const noexcept override { return watch_.stalled(); }

  std::optional<store_stats> stats() override {
    store_stats out;
    out.writer = writer_.stats();
    if (!watch_.stalled()) // what asks the disk would wait with the others
      if (auto usage = env_->usage())
        out.map = *usage;
    return out;
  }

private:
  /// Runs `apply` in the writer's transaction and reports its last outcome, or why the commit
  /// that contained it failed. A job may run more than once, so the outcome is kept aside.
  template <class T, class F>
  void submit(std::size_t bytes, bool frees, F apply, written<T> then) {
    auto outcome = std::make_shared<std::optional<T>>();
    lmdb::write_job job;
    job.bytes = bytes;
    job.frees = frees;
    job.apply = [apply = std::move(apply), outcome](lmdb::transaction& t) -> result<void> {
      auto r = apply(t);
      if (!r)
        return std::unexpected{r.error()};
      *outcome = std::move(*r);
      return {};
    };
    job.then = [then = std::move(then), outcome](result<void> committed) mutable {
      if (committed)
        then(std::move(**outcome));
      else
        then(std::unexpected{committed.error()});
    };
    writer_.submit(std::move(job));
  }

  std::unique_ptr<lmdb::environment> env_;
  const core::clock& clock_;
  lmdb::store_watch watch_{"index"};
  lmdb::writer writer_; ///< last: stops before the environment goes
};

} // namespace

std::expected<std::unique_ptr<store>, lmdb::open_error>
open_lmdb_store(const lmdb_store_options& options, const core::clock& clock,
                lmdb::faults* injected) {
  lmdb::environment_options o;
  o.path = options.path;
  o.map_bytes = options.map_bytes;
  o.readers_max = options.readers_max;
  o.tables = layout::table_names();
  o.format = layout::format;
  o.min_reader = layout::min_reader;
  o.migrate = bring_up_to_date;
  auto env = lmdb::environment::open(std::move(o));
  if (!env)
    return std::unexpected{env.error()};
  return std::make_unique<lmdb_store>(std::move(*env), clock, injected);
}

} // namespace ron::index
