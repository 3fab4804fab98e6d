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
using layout::text_of;
using layout::text_view;

/// Whether a read may wait for a disk.
enum class patience : bool { none, any };

/// A value that lies in the same page as its key, whatever the page size.
constexpr std::size_t small_value = 1'024;

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
    return *find_in(env_->wait_and_read(), name, patience::any);
  }
  maybe<name_record> try_find(std::string_view name) override {
    const auto call = watch_.enter(clock_.now());
    return find_in(env_->read(), name, patience::none);
  }

  result<name_page> list(std::string_view prefix, std::string_view after,
                         std::size_t limit) override;
  maybe<name_page> try_list(std::string_view, std::string_view, std::size_t) override {
    return std::nullopt; // it walks over as many pages as it likes
  }

  result<std::string> manifest(const core::cid& c) override {
    const auto call = watch_.enter(clock_.now());
    return *manifest_in(env_->wait_and_read(), c, patience::any);
  }
  maybe<std::string> try_manifest(const core::cid& c) override {
    const auto call = watch_.enter(clock_.now());
    return manifest_in(env_->read(), c, patience::none);
  }

  result<bool> named(const core::cid& c) override {
    const auto call = watch_.enter(clock_.now());
    return *named_in(env_->wait_and_read(), c, patience::any);
  }
  maybe<bool> try_named(const core::cid& c) override {
    const auto call = watch_.enter(clock_.now());
    return named_in(env_->read(), c, patience::none);
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
  using view_result = result<lmdb::read_view>;

  static maybe<name_record> find_in(const view_result& view, std::string_view name, patience p);
  static maybe<std::string> manifest_in(const view_result& view, const core::cid& c, patience p);
  static maybe<bool> named_in(const view_result& view, const core::cid& c, patience p);

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

// -- reading ----------------------------------------------------------------------------------

/// Why there is no view to read in; nothing if there will be one for somebody who waits.
template <class T>
maybe<T> no_view(const core::error& e, patience p) {
  if (p == patience::none && e.code == ec::busy)
    return std::nullopt;
  return std::unexpected{e};
}

maybe<name_record> lmdb_store::find_in(const view_result& view, std::string_view name,
                                       patience p) {
  if (!view)
    return no_view<name_record>(view.error(), p);
  const auto key = text_view(name);
  if (p == patience::none && !view->in_memory(layout::names, key))
    return std::nullopt;
  auto v = view->get(layout::names, key);
  if (!v)
    return fail(v.error().code,
                v.error().code == ec::not_found ? "no such name" : v.error().message);
  return decode(name, *v);
}

maybe<std::string> lmdb_store::manifest_in(const view_result& view, const core::cid& c,
                                           patience p) {
  if (!view)
    return no_view<std::string>(view.error(), p);
  if (p == patience::none && !view->in_memory(layout::manifests, c.view()))
    return std::nullopt;
  auto v = view->get(layout::manifests, c.view());
  if (!v)
    return fail(v.error().code, v.error().code == ec::not_found
                                  ? "no manifest is known for this object"
                                  : v.error().message);
  if (p == patience::none && v->size() > small_value && !lmdb::resident(*v))
    return std::nullopt;
  return std::string{text_of(*v)};
}

maybe<bool> lmdb_store::named_in(const view_result& view, const core::cid& c, patience p) {
  if (!view)
    return no_view<bool>(view.error(), p);
  if (p == patience::none && !view->in_memory(layout::named, c.view(), lmdb::lookup::seek))
    return std::nullopt;
  auto at = view->scan(layout::named);
  const bool there = at.seek(c.view()) && lmdb::starts_with(at.key(), c.view());
  if (auto ok = at.status(); !ok)
    return std::unexpected{ok.error()};
  return there;
}

result<name_page> lmdb_store::list(std::string_view prefix, std::string_view after,
                                   std::size_t limit) {
  const auto call = watch_.enter(clock_.now());
  auto view = env_->wait_and_read();
  if (!view)
    return std::unexpected{view.error()};
  auto at = view->scan(layout::names);
  const auto from = std::max(prefix, after);
  bool there = from.empty() ? at.first() : at.seek(text_view(from));
  name_page page;
  for (; there && lmdb::starts_with(at.key(), text_view(prefix)); there = at.next()) {
    std::string name{text_of(at.key())};
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
