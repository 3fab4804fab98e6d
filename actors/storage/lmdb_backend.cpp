#include "storage/lmdb_backend.hpp"

#include "core/store/store_watch.hpp"
#include "storage/group_reader.hpp"
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

class lmdb_backend final : public backend {
public:
  lmdb_backend(std::unique_ptr<lmdb::environment> env, const lmdb_backend_options& options,
               const layout::sums& sums, std::uint64_t next_number, const core::clock& clock,
               lmdb::faults* injected)
    : env_(std::move(env)),
      room_(options.quota, sums.bytes),
      cache_(options.verified_cache),
      groups_(options.verified_cache),
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
    const auto call = watched();
    return *head_in(env_->wait_and_read(), c, patience::any);
  }
  std::optional<result<object_info>> try_head(const core::cid& c) override {
    return head_in(env_->read(), c, patience::none);
  }

  std::optional<result<chunk>> try_read(const core::cid& c, std::uint64_t offset,
                                        std::uint64_t wanted) override {
    return attempt(c, offset, wanted, patience::none);
  }

  result<chunk> read(const core::cid& c, std::uint64_t offset, std::uint64_t wanted) override {
    const auto call = watched();
    return *attempt(c, offset, wanted, patience::any);
  }

  void del(const core::cid& c, const core::tenant& holder, outcome<void> then) override;
  void pin(const core::cid& c, outcome<object_info> then) override {
    change_pins(c, true, std::move(then));
  }
  void unpin(const core::cid& c, outcome<object_info> then) override {
    change_pins(c, false, std::move(then));
  }
  result<object_page> pins(const std::optional<core::cid>& after, std::size_t limit) override {
    const auto call = watched();
    auto view = env_->wait_and_read();
    if (!view)
      return std::unexpected{view.error()};
    return layout::pinned(*view, after, limit);
  }
  std::optional<result<object_page>> try_pins(const std::optional<core::cid>&,
                                              std::size_t) override {
    return std::nullopt; // it walks over as many pages as it likes
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
    out.outboards = groups_.outboards();
    out.collect_failed = collector_.failed();
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
    groups_.set_max(verified_cache);
  }

private:
  lmdb::store_watch::call watched() noexcept { return watch_.enter(parts_.clock.now()); }
  std::optional<result<object_info>> head_in(const result<lmdb::read_view>& view,
                                             const core::cid& c, patience p);
  std::optional<result<chunk>> attempt(const core::cid& c, std::uint64_t offset,
                                       std::uint64_t wanted, patience p);
  /// As `layout::load`; nothing if it would have to come from a disk and nobody may wait.
  static std::optional<result<layout::record>> find(const lmdb::read_view& view,
                                                    const core::cid& c, patience p) {
    if (p == patience::none && !view.in_memory(layout::objects, c.view()))
      return std::nullopt;
    return layout::load(view, c);
  }
  result<chunk> serve(const core::bytes& group, const layout::record& r, const read_plan& plan) {
    counters::bump(counters_.reads);
    counters::bump(counters_.bytes_out, plan.length);
    return chunk{group.slice(plan.skip, plan.length), r.size};
  }
  /// Counts what only a thread that may wait can read.
  std::nullopt_t left_to_others() {
    counters::bump(counters_.reads_cold);
    return std::nullopt;
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
  group_reader groups_;
  lmdb::store_watch watch_{"storage"};
  replication_switch notes_;
  collector collector_;
  lmdb_parts parts_;
  lmdb_copies copies_{*env_, parts_};
  lmdb::writer log_; ///< last: its thread uses all of the above
};

// -- reading ----------------------------------------------------------------------------------

std::optional<result<object_info>> lmdb_backend::head_in(const result<lmdb::read_view>& view,
                                                         const core::cid& c, patience p) {
  if (!view) {
    if (p == patience::none && view.error().code == ec::busy)
      return left_to_others();
    return std::unexpected{view.error()};
  }
  const auto r = find(*view, c, p);
  if (!r)
    return left_to_others();
  if (!*r)
    return std::unexpected{counted(r->error())};
  return (*r)->info(c);
}

std::optional<result<chunk>> lmdb_backend::attempt(const core::cid& c, std::uint64_t offset,
                                                   std::uint64_t wanted, patience p) {
  layout::record r;
  read_plan plan;
  std::optional<result<group_copy>> copy;
  {
    auto view = p == patience::any ? env_->wait_and_read() : env_->read();
    if (!view) {
      if (p == patience::none && view.error().code == ec::busy)
        return left_to_others();
      return std::unexpected{view.error()};
    }
    const auto found = find(*view, c, p);
    if (!found)
      return left_to_others();
    if (!*found)
      return std::unexpected{counted(found->error())};
    r = **found;
    auto planned = plan_read(r.size, offset, wanted);
    if (!planned)
      return std::unexpected{planned.error()};
    plan = *planned;
    if (auto held = cache_.find(r.number, plan.group))
      return serve(*held, r, plan);
    copy = groups_.copy(*view, r, plan.group, plan.following, p, outboard_from::memory);
    if (!copy)
      return left_to_others();
  }
  if (!*copy)
    return std::unexpected{copy->error()};
  counters::bump(counters_.verified);
  if (!(*copy)->verify(c, r.size, plan.group))
    return quarantine(c, r, plan.group);
  groups_.remember(**copy, r.number);
  cache_.put(r.number, plan.group, (*copy)->data);
  return serve((*copy)->data, r, plan);
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
    const auto following = b3::group_count(r.size) - 1 - s.next.group;
    copy = *groups_.copy(*view, r, s.next.group, following, patience::any, outboard_from::disk);
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
  o.read_around = false; // between two pages of a tree lie groups that nobody asked for
  auto env = lmdb::environment::open(std::move(o));
  if (!env)
    return std::unexpected{env.error()};
  layout::sums sums;
  std::uint64_t next = 0;
  {
    auto failed = [](const core::error& e) {
      return std::unexpected{lmdb::open_error{lmdb::open_failure::failed, e.message}};
    };
    auto view = (*env)->wait_and_read();
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
