#include "storage/lmdb_backend.hpp"

#include "core/store/store_watch.hpp"
#include "storage/group_copy.hpp"
#include "storage/lmdb_layout.hpp"
#include "storage/lmdb_upload.hpp"
#include "storage/read_plan.hpp"
#include "storage/replication_lmdb.hpp"
#include "storage/replication_table.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

namespace ron::storage {

namespace {

namespace b3 = core::b3;
namespace lmdb = core::store;
using core::ec;
using core::fail;
using core::result;

/// Where the nodes above a group come from.
enum class outboard_from : bool { disk, memory };

/// RAM for nodes that were verified: the lowest ones above 800 MiB of objects, and the others.
constexpr std::uint64_t node_cache(std::uint64_t verified_cache) noexcept {
  return std::min<std::uint64_t>(verified_cache / 64, 1u << 20);
}

/// RAM for pages of outboards that were read lately: as a rule the same few of an object, over and
/// over. A sixteenth of the cache of groups, and enough for 4 GiB of objects.
constexpr std::uint64_t outboard_cache(std::uint64_t verified_cache) noexcept {
  return std::min<std::uint64_t>(verified_cache / 16, 4u << 20);
}

class lmdb_backend final : public backend {
public:
  lmdb_backend(std::unique_ptr<lmdb::environment> env, const lmdb_backend_options& options,
               const layout::sums& sums, std::uint64_t next_number, const core::clock& clock,
               lmdb::faults* injected)
    : env_(std::move(env)),
      room_(options.quota, sums.bytes),
      cache_(options.verified_cache),
      outboards_(outboard_cache(options.verified_cache), layout::node_page_bytes),
      nodes_(node_cache(options.verified_cache)),
      collector_(log_, next_number),
      parts_{log_, collector_, room_, counters_, cache_, clock, notes_},
      log_(*env_, options.writer, injected) {
    counters_.objects = sums.objects;
    counters_.bytes = sums.bytes;
    collector_.kick();
  }

  ~lmdb_backend() override { log_.stop(); }

  using backend::begin;
  std::unique_ptr<upload> begin(origin from) override {
    return std::make_unique<lmdb_upload>(parts_, from);
  }

  result<object_info> head(const core::cid& c) override {
    auto view = env_->read();
    if (!view)
      return std::unexpected{view.error()};
    auto r = layout::load(*view, c);
    if (!r)
      return std::unexpected{counted(r.error())};
    return r->info(c);
  }

  std::optional<result<chunk>> try_read(const core::cid& c, std::uint64_t offset,
                                        std::uint64_t length_max) override {
    return attempt(c, offset, length_max, patience::none);
  }

  result<chunk> read(const core::cid& c, std::uint64_t offset, std::uint64_t length_max) override {
    const auto call = watched();
    return *attempt(c, offset, length_max, patience::any);
  }

  void del(const core::cid& c, const core::tenant& holder, outcome<void> then) override;
  void pin(const core::cid& c, outcome<object_info> then) override {
    change_pins(c, true, std::move(then));
  }
  void unpin(const core::cid& c, outcome<object_info> then) override {
    change_pins(c, false, std::move(then));
  }
  result<object_page> pins(const std::optional<core::cid>& after, std::size_t limit) override {
    auto view = env_->read();
    if (!view)
      return std::unexpected{view.error()};
    return layout::pinned(*view, after, limit);
  }

  result<scrub_step> scrub(const scrub_place& from, std::uint64_t bytes_max) override;

  void set_replication(const replication_mode& m) override {
    notes_.set(m);
    if (!m.copies)
      copies_.forget_walk();
  }
  result<std::vector<work_item>> work(const std::optional<core::cid>& after,
                                      std::size_t limit) override {
    const auto call = watched();
    return copies_.work(after, limit);
  }
  result<std::vector<work_item>> releases(const std::optional<core::cid>& after,
                                          std::size_t limit) override {
    const auto call = watched();
    return copies_.releases(after, limit);
  }
  void settle(const settlement& s, outcome<void> then) override {
    copies_.settle(s, std::move(then));
  }
  void walk(const walk_order& order, outcome<walk_state> then) override {
    copies_.walk(order, std::move(then));
  }
  void identify(outcome<store_id> then) override { copies_.identify(std::move(then)); }
  void keep(const core::cid& c, const store_id& node, outcome<bool> then) override {
    copies_.keep(c, node, std::move(then));
  }
  void release(const core::cid& c, const store_id& node, bool needed,
               outcome<void> then) override {
    copies_.release(c, node, needed, std::move(then));
  }

  void maintain() override {
    env_->clear_stale_readers();
    collector_.kick();
    const auto writing = lmdb::progress_of(log_.stats());
    watch_.look(parts_.clock.now(), {&writing, 1}, env_->path());
  }
  bool stalled() const noexcept override { return watch_.stalled(); }

  backend_load load() const noexcept override { return counters_.load(); }

  storage_stats stats() override {
    storage_stats out;
    counters_.fill(out);
    out.quota = room_.max();
    out.reserved = room_.taken() - std::min(room_.taken(), out.bytes);
    out.cache = cache_.stats();
    out.outboards = outboards_.stats();
    out.writer = log_.stats();
    out.stalled = watch_.stalled();
    if (out.stalled)
      return out; // what asks the disk would wait with the others
    if (auto view = env_->read()) {
      out.work = view->entries(layout::work);
      out.releases = view->entries(layout::releases);
    }
    if (auto u = env_->usage())
      out.map = *u;
    return out;
  }

  void set_limits(std::uint64_t quota, std::uint64_t verified_cache) override {
    room_.set_max(quota);
    cache_.set_max(verified_cache);
    outboards_.set_max(outboard_cache(verified_cache));
    nodes_.set_max(node_cache(verified_cache));
  }

private:
  lmdb::store_watch::call watched() noexcept { return watch_.enter(parts_.clock.now()); }
  std::optional<result<chunk>> attempt(const core::cid& c, std::uint64_t offset,
                                       std::uint64_t length_max, patience p);
  /// Nothing if a page of it is not in memory and nobody may wait.
  std::optional<result<group_copy>> copy_group(const lmdb::read_view& view,
                                               const layout::record& r, std::uint64_t group,
                                               patience p, outboard_from from);
  /// A page of the outboard, empty if it is missing; nothing as above.
  std::optional<result<core::bytes>> outboard_page(const lmdb::read_view& view,
                                                   const layout::record& r, std::uint64_t page,
                                                   patience p, outboard_from from);
  result<chunk> serve(const core::bytes& group, const layout::record& r, const read_plan& plan) {
    counters::bump(counters_.reads);
    counters::bump(counters_.bytes_out, plan.length);
    return chunk{group.slice(plan.skip, plan.length), r.size};
  }
  /// Counts a damaged record.
  const core::error& counted(const core::error& e) {
    if (e.code == ec::bad_digest)
      counters::bump(counters_.corrupt);
    return e;
  }
  result<chunk> quarantine(const core::cid& c, const layout::record& r, std::uint64_t group);
  result<void> scrub_group(scrub_step& s);
  void change_pins(const core::cid& c, bool more, outcome<object_info> then);

  std::unique_ptr<lmdb::environment> env_;
  budget room_;
  counters counters_;
  verified_cache cache_;
  verified_cache outboards_; ///< pages as they were read; nothing in them is taken as verified
  verified_nodes nodes_;
  lmdb::store_watch watch_{"storage"};
  replication_switch notes_;
  collector collector_;
  lmdb_parts parts_;
  lmdb_copies copies_{*env_, parts_};
  lmdb::writer log_; ///< last: its thread uses all of the above
};

// -- reading ----------------------------------------------------------------------------------

std::optional<result<chunk>> lmdb_backend::attempt(const core::cid& c, std::uint64_t offset,
                                                   std::uint64_t length_max, patience p) {
  layout::record r;
  read_plan plan;
  std::optional<result<group_copy>> copy;
  {
    auto view = p == patience::any ? env_->wait_and_read() : env_->read();
    if (!view) {
      if (p == patience::none && view.error().code == ec::busy)
        return std::nullopt;
      return std::unexpected{view.error()};
    }
    auto found = layout::load(*view, c);
    if (!found)
      return std::unexpected{counted(found.error())};
    r = *found;
    auto planned = plan_read(r.size, offset, length_max);
    if (!planned)
      return std::unexpected{planned.error()};
    plan = *planned;
    if (auto held = cache_.find(r.number, plan.group))
      return serve(*held, r, plan);
    copy = copy_group(*view, r, plan.group, p, outboard_from::memory);
    if (!copy) {
      counters::bump(counters_.reads_cold);
      return std::nullopt;
    }
  }
  if (!*copy)
    return std::unexpected{copy->error()};
  counters::bump(counters_.verified);
  if (!(*copy)->verify(c, r.size, plan.group))
    return quarantine(c, r, plan.group);
  (*copy)->remember(nodes_, r.number);
  cache_.put(r.number, plan.group, (*copy)->data);
  return serve((*copy)->data, r, plan);
}

std::optional<result<group_copy>> lmdb_backend::copy_group(const lmdb::read_view& view,
                                                           const layout::record& r,
                                                           std::uint64_t group, patience p,
                                                           outboard_from from) {
  group_copy out;
  auto data = view.get(layout::chunks, layout::chunk_key(r.number, group));
  if (!data && data.error().code != ec::not_found)
    return std::unexpected{data.error()};
  if (!data || data->size() != b3::group_size(r.size, group))
    return out; // does not verify
  auto copy = copy_of(view, *data, p);
  if (!copy)
    return std::nullopt;
  if (copy->size() != data->size())
    return out; // the disk has lost it
  out.path = b3::path_of(group, b3::group_count(r.size));
  out.nodes.reserve(out.path.size * b3::node_bytes);
  constexpr auto no_page = ~std::uint64_t{0};
  auto at = no_page;
  core::bytes page;
  for (auto step : out.path.view()) {
    if (verified_nodes::node held;
        from == outboard_from::memory && nodes_.find(r.number, step.index, held)) {
      out.nodes.insert(out.nodes.end(), held.begin(), held.end());
      out.top_verified = true;
      break;
    }
    if (auto wanted = step.index / layout::nodes_per_page; wanted != at) {
      auto found = outboard_page(view, r, wanted, p, from);
      if (!found)
        return std::nullopt;
      if (!*found)
        return std::unexpected{found->error()};
      page = std::move(**found);
      at = wanted;
    }
    auto offset = step.index % layout::nodes_per_page * b3::node_bytes;
    if (page.size() < offset + b3::node_bytes)
      return out; // does not verify
    auto node = page.view().subspan(offset, b3::node_bytes);
    out.nodes.insert(out.nodes.end(), node.begin(), node.end());
  }
  out.data = std::move(*copy);
  return out;
}

std::optional<result<core::bytes>>
lmdb_backend::outboard_page(const lmdb::read_view& view, const layout::record& r,
                            std::uint64_t page, patience p, outboard_from from) {
  if (from == outboard_from::memory)
    if (auto held = outboards_.find(r.number, page))
      return std::move(*held);
  auto v = view.get(layout::outboard, layout::chunk_key(r.number, page));
  if (!v && v.error().code != ec::not_found)
    return std::unexpected{v.error()};
  if (!v)
    return core::bytes{};
  auto copy = copy_of(view, *v, p);
  if (!copy)
    return std::nullopt;
  if (from == outboard_from::memory && !copy->empty())
    outboards_.put(r.number, page, *copy);
  return std::move(*copy);
}

result<chunk> lmdb_backend::quarantine(const core::cid& c, const layout::record& r,
                                       std::uint64_t group) {
  counters::bump(counters_.corrupt);
  if (r.state == object_state::complete) {
    lmdb::write_job job;
    job.source = r.number;
    job.bytes = 128;
    job.frees = true;
    job.apply = [c, number = r.number, on = notes_.others.load()](lmdb::transaction& t)
      -> result<void> {
      auto now = layout::load(t, c);
      if (!now || now->number != number || now->state != object_state::complete)
        return {};
      now->state = object_state::quarantined;
      if (on)
        if (auto ok = layout::note_repair(t, c); !ok)
          return ok;
      return layout::save(t, c, *now);
    };
    job.then = [](const result<void>&) {
      // nop: the next read of the group tries again
    };
    log_.submit(std::move(job));
  }
  return fail(ec::bad_digest,
              "group " + std::to_string(group) + " of " + c.to_text() + " is damaged on disk");
}

// -- scrubbing --------------------------------------------------------------------------------

result<scrub_step> lmdb_backend::scrub(const scrub_place& from, std::uint64_t bytes_max) {
  const auto call = watched();
  scrub_step s;
  s.next = from;
  // Nothing is held between two groups, so that writes can use the pages that they free.
  do {
    if (auto ok = scrub_group(s); !ok)
      return std::unexpected{ok.error()};
  } while (!s.finished && s.bytes < bytes_max);
  return s;
}

result<void> lmdb_backend::scrub_group(scrub_step& s) {
  core::cid c;
  layout::record r;
  result<group_copy> copy;
  {
    auto view = env_->wait_and_read();
    if (!view)
      return std::unexpected{view.error()};
    auto at = view->scan(layout::objects);
    bool there = s.next.object ? at.seek(s.next.object->view()) : at.first();
    result<layout::record> found;
    for (; there; there = at.next()) {
      auto k = at.key();
      std::copy_n(k.begin(), std::min(k.size(), c.hash.size()), c.hash.begin());
      if (s.next.object != c)
        s.next = {c, 0};
      found = layout::decode(c, at.value());
      if (!found || s.next.group < b3::group_count(found->size))
        break;
      ++s.objects; // its last group was the one before
    }
    if (auto ok = at.status(); !ok)
      return ok;
    s.finished = !there;
    if (s.finished)
      return {};
    if (!found) {
      counted(found.error());
      ++s.corrupt;
      s.damaged.push_back(c);
      copies_.want_repair(c);
      if (s.finished = !at.next(); s.finished)
        return at.status();
      auto k = at.key();
      std::copy_n(k.begin(), std::min(k.size(), c.hash.size()), c.hash.begin());
      s.next = {c, 0};
      return {};
    }
    r = *found;
    copy = *copy_group(*view, r, s.next.group, patience::any, outboard_from::disk);
  }
  if (!copy)
    return std::unexpected{copy.error()};
  ++s.groups;
  counters::bump(counters_.scrubbed);
  s.bytes += std::max<std::uint64_t>(1, b3::group_size(r.size, s.next.group));
  if (!copy->verify(c, r.size, s.next.group)) {
    ++s.corrupt;
    s.damaged.push_back(c);
    if (r.state == object_state::complete) // what is known to be bad is not counted every day
      static_cast<void>(quarantine(c, r, s.next.group));
    else
      copies_.want_repair(c);
  }
  ++s.next.group;
  return {};
}

// -- changing ---------------------------------------------------------------------------------

void lmdb_backend::del(const core::cid& c, const core::tenant& holder, outcome<void> then) {
  auto end = std::make_shared<hold_end>();
  lmdb::write_job job;
  job.bytes = 256;
  job.frees = true;
  job.apply = [this, c, holder, end](lmdb::transaction& t) {
    return copies_.end_hold(t, c, holder, *end);
  };
  job.then = [this, end, then = std::move(then)](result<void> r) mutable {
    parts_.note(r);
    if (r)
      parts_.ended(*end);
    then(std::move(r));
  };
  log_.submit(std::move(job));
}

void lmdb_backend::change_pins(const core::cid& c, bool more, outcome<object_info> then) {
  auto info = std::make_shared<object_info>();
  lmdb::write_job job;
  job.bytes = 128;
  job.frees = true;
  job.apply = [c, more, info](lmdb::transaction& t) -> result<void> {
    auto r = layout::load(t, c);
    if (!r)
      return std::unexpected{r.error()};
    if (!more && r->pins == 0)
      return fail(ec::not_found, "the object has no pin");
    r->pins += more ? 1 : 0xffff'ffff;
    *info = r->info(c);
    return layout::save(t, c, *r);
  };
  job.then = [this, info, then = std::move(then)](result<void> r) mutable {
    parts_.note(r);
    if (r)
      then(std::move(*info));
    else
      then(std::unexpected{std::move(r.error())});
  };
  log_.submit(std::move(job));
}

} // namespace

std::expected<std::unique_ptr<backend>, lmdb::open_error>
open_lmdb_backend(const lmdb_backend_options& options, const core::clock& clock,
                  lmdb::faults* injected) {
  lmdb::environment_options o;
  o.path = options.path;
  o.map_bytes = options.map_bytes;
  o.readers_max = options.readers_max;
  o.tables = layout::table_names();
  o.format = layout::format;
  o.min_reader = layout::min_reader;
  o.migrate = layout::migrate;
  auto env = lmdb::environment::open(std::move(o));
  if (!env)
    return std::unexpected{env.error()};
  layout::sums sums;
  std::uint64_t next = 0;
  {
    auto failed = [](const core::error& e) {
      return std::unexpected{lmdb::open_error{lmdb::open_failure::failed, e.message}};
    };
    auto view = (*env)->read();
    if (!view)
      return failed(view.error());
    auto s = layout::load_sums(*view);
    if (!s)
      return failed(s.error());
    auto n = layout::next_number(*view);
    if (!n)
      return failed(n.error());
    sums = *s;
    next = *n;
  }
  return std::make_unique<lmdb_backend>(std::move(*env), options, sums, next, clock, injected);
}

} // namespace ron::storage
