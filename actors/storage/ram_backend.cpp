#include "storage/backend.hpp"
#include "storage/budget.hpp"
#include "storage/counters.hpp"
#include "storage/read_plan.hpp"
#include "storage/replication_ram.hpp"

#include <array>
#include <atomic>
#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>

namespace ron::storage {

namespace {

using core::ec;
using core::fail;
using core::result;

/// The bytes of an object. Readers share it, so a delete never waits for them.
using groups_ptr = std::shared_ptr<const std::vector<core::bytes>>;

struct stored {
  groups_ptr groups;
  std::uint64_t size = 0;
  std::uint32_t pins = 0;
  std::int64_t last_put_ms = 0;
  std::unordered_set<core::tenant> holders;
  std::unordered_set<store_id> nodes; ///< other nodes whose copy this is

  std::size_t holds() const noexcept { return holders.size() + nodes.size(); }
  object_info info(const core::cid& c) const {
    return {c, size, object_state::complete, pins, static_cast<std::uint32_t>(holds()),
            last_put_ms};
  }
};

store_id fresh_id() {
  store_id id;
  core::random_bytes(id.id);
  return id;
}

/// What a further holder of an object counts against the quota.
constexpr std::uint64_t holder_cost = 64;

class ram_backend final : public backend {
public:
  ram_backend(std::uint64_t quota, const core::clock& clock) : clock_(clock), budget_(quota) {}

  using backend::begin;
  std::unique_ptr<upload> begin(origin from) override;

  result<object_info> head(const core::cid& c) override {
    auto& s = stripe_of(c);
    std::lock_guard guard{s.mutex};
    auto i = s.objects.find(c);
    if (i == s.objects.end())
      return fail(ec::not_found, "no such object");
    return i->second.info(c);
  }

  std::optional<result<chunk>> try_read(const core::cid& c, std::uint64_t offset,
                                        std::uint64_t wanted) override {
    return read(c, offset, wanted);
  }

  result<chunk> read(const core::cid& c, std::uint64_t offset, std::uint64_t wanted) override {
    groups_ptr groups;
    std::uint64_t size = 0;
    {
      auto& s = stripe_of(c);
      std::lock_guard guard{s.mutex};
      auto i = s.objects.find(c);
      if (i == s.objects.end())
        return fail(ec::not_found, "no such object");
      groups = i->second.groups;
      size = i->second.size;
    }
    auto plan = plan_read(size, offset, wanted);
    if (!plan)
      return std::unexpected{plan.error()};
    counters::bump(counters_.reads);
    counters::bump(counters_.bytes_out, plan->length);
    return chunk{(*groups)[plan->group].slice(plan->skip, plan->length), size};
  }

  void del(const core::cid& c, const core::tenant& holder, outcome<void> then) override {
    then(remove(c, holder));
  }

  void pin(const core::cid& c, outcome<object_info> then) override { then(add_pins(c, true)); }
  void unpin(const core::cid& c, outcome<object_info> then) override { then(add_pins(c, false)); }
  result<object_page> pins(const std::optional<core::cid>& after, std::size_t limit) override;

  result<scrub_step> scrub(const scrub_place&, std::uint64_t) override {
    return scrub_step{.finished = true}; // verified when it came, and no disk to doubt since
  }

  void set_replication(const replication_mode& m) override {
    if (!m.copies) {
      std::lock_guard guard{walk_mutex_};
      walk_ = {};
      unnoted_ = true;
    }
    note_copies_ = m.copies;
    note_others_ = m.others;
    releases_max_ = m.releases_max;
  }
  result<std::vector<work_item>> work(const std::optional<core::cid>& after,
                                      std::size_t limit) override {
    return work_.page(duty::copy, after, limit);
  }
  result<std::vector<work_item>> releases(const std::optional<core::cid>& after,
                                          std::size_t limit) override {
    return work_.page(duty::release, after, limit);
  }
  void settle(const settlement& s, outcome<void> then) override {
    {
      auto& in = stripe_of(s.cid);
      std::lock_guard guard{in.mutex};
      const auto i = in.objects.find(s.cid);
      if (!s.pointless || i == in.objects.end() || i->second.holders.empty())
        work_.settle(s);
    }
    then({});
  }
  /// Nothing was here before replication was on, and nothing is lost but with all the rest: only
  /// an audit has something to do.
  void walk(const walk_order& order, outcome<walk_state> then) override;
  void identify(outcome<store_id> then) override { then(identity_); }
  void keep(const core::cid& c, const store_id& node, outcome<bool> then) override;
  void release(const core::cid& c, const store_id& node, bool needed,
               outcome<void> then) override {
    then(end_copy(c, node, needed));
  }

  void maintain() override {
    // nop
  }

  backend_load load() const noexcept override { return counters_.load(); }

  storage_stats stats() override {
    storage_stats out;
    counters_.fill(out);
    out.quota = budget_.max();
    out.reserved = budget_.taken() - std::min(budget_.taken(), out.bytes);
    out.work = work_.copies();
    out.releases = work_.releases();
    return out;
  }

  void set_limits(std::uint64_t quota, std::uint64_t) override { budget_.set_max(quota); }

private:
  friend class ram_upload;
  static constexpr std::size_t stripes = 32;

  struct alignas(64) stripe {
    std::mutex mutex;
    std::unordered_map<core::cid, stored> objects;
  };

  stripe& stripe_of(const core::cid& c) noexcept { return stripes_[c.hash[0] % stripes]; }

  /// Keeps the object, or gives `cost` back if it is there already.
  result<put_result> keep(const finished_upload& last, groups_ptr groups,
                          const core::tenant& holder, std::uint64_t cost, origin from);
  /// Makes the object one of this node's own, or one that is kept for another; under its lock.
  void note_own(const core::cid& c, bool own_before);
  result<void> end_copy(const core::cid& c, const store_id& node, bool needed);
  void drop(stripe& s, const core::cid& c, groups_ptr& freed);
  result<void> remove(const core::cid& c, const core::tenant& holder);
  result<object_info> add_pins(const core::cid& c, bool more);

  const core::clock& clock_;
  budget budget_;
  counters counters_;
  std::array<stripe, stripes> stripes_;
  std::mutex pinned_mutex_; ///< taken inside of a stripe's
  std::set<core::cid> pinned_;
  std::atomic<bool> note_copies_{false};
  std::atomic<bool> note_others_{false};
  std::atomic<std::uint64_t> releases_max_{0};
  ram_work work_; ///< its lock is taken inside of a stripe's
  std::mutex walk_mutex_;
  walk_state walk_;
  bool unnoted_ = false; ///< there may be objects that were put while nobody noted copies
  const store_id identity_ = fresh_id();
};

class ram_upload final : public upload {
public:
  ram_upload(ram_backend& owner, origin from) : owner_(owner), from_(from) {
    counters::bump(owner_.counters_.puts_open);
  }
  ~ram_upload() override {
    owner_.budget_.give_back(taken_);
    counters::drop(owner_.counters_.puts_open);
    if (!committed_)
      counters::bump(owner_.counters_.puts_failed);
  }

  void add(full_group group, outcome<void> then) override {
    if (!take(group.data.size()))
      return then(full());
    groups_->push_back(std::move(group.data));
    then({});
  }

  void commit(finished_upload last, const core::tenant& holder,
              outcome<put_result> then) override {
    if (!take(cost_of(last.last.size())))
      return then(full());
    groups_->push_back(last.last);
    groups_->shrink_to_fit();
    committed_ = true;
    then(owner_.keep(last, std::move(groups_), holder, std::exchange(taken_, 0), from_));
  }

private:
  bool take(std::uint64_t n) {
    if (!owner_.budget_.take(n))
      return false;
    taken_ += n;
    return true;
  }
  std::unexpected<core::error> full() const {
    return fail(ec::store_quota, "the store holds " + std::to_string(owner_.budget_.max())
                                   + " bytes at most (storage.quota)");
  }

  ram_backend& owner_;
  const origin from_;
  std::shared_ptr<std::vector<core::bytes>> groups_ = std::make_shared<std::vector<core::bytes>>();
  std::uint64_t taken_ = 0;
  bool committed_ = false;
};

std::unique_ptr<upload> ram_backend::begin(origin from) {
  return std::make_unique<ram_upload>(*this, from);
}

result<put_result> ram_backend::keep(const finished_upload& last, groups_ptr groups,
                                     const core::tenant& holder, std::uint64_t cost,
                                     origin from) {
  auto& s = stripe_of(last.cid);
  std::lock_guard guard{s.mutex};
  if (from == origin::repair) { // nothing here is ever damaged
    budget_.give_back(cost);
    if (auto i = s.objects.find(last.cid); i != s.objects.end())
      return put_result{last.cid, last.size, true};
    return fail(ec::not_found, "no such object");
  }
  auto [i, fresh] = s.objects.try_emplace(last.cid);
  auto& o = i->second;
  auto& holds = from == origin::replica ? o.nodes : o.holders;
  const bool held = holds.contains(holder);
  if (fresh) {
    o.groups = std::move(groups);
    o.size = last.size;
    counters::bump(counters_.objects);
    counters::bump(counters_.bytes, cost);
  } else {
    budget_.give_back(cost);
    if (!held) {
      if (!budget_.take(holder_cost))
        return fail(ec::store_quota, "the store is full (storage.quota)");
      counters::bump(counters_.bytes, holder_cost);
    }
  }
  if (from == origin::put)
    note_own(last.cid, !o.holders.empty());
  holds.insert(holder);
  o.last_put_ms = clock_.wall_ms();
  counters::bump(counters_.puts);
  counters::bump(counters_.bytes_in, last.size);
  return put_result{last.cid, last.size, held};
}

/// An object that becomes one of this node's own has to be copied, though it may have been here
/// for other nodes.
void ram_backend::note_own(const core::cid& c, bool own_before) {
  if (note_copies_ && !own_before)
    work_.note_copy(c);
}

result<void> ram_backend::remove(const core::cid& c, const core::tenant& holder) {
  groups_ptr freed; // outside of the lock
  auto& s = stripe_of(c);
  std::lock_guard guard{s.mutex};
  auto i = s.objects.find(c);
  if (i == s.objects.end() || (!holder.is_zero() && !i->second.holders.contains(holder)))
    return fail(ec::not_found, "no such object");
  auto& o = i->second;
  if (o.pins > 0)
    return fail(ec::conflict, "the object is pinned");
  const bool last = holder.is_zero() || o.holders.size() == 1;
  if (note_others_ && last && !o.holders.empty() && !work_.note_release(c, releases_max_))
    counters::bump(counters_.releases_lost);
  if (!holder.is_zero() && o.holds() > 1) {
    o.holders.erase(holder);
    budget_.give_back(holder_cost);
    counters::drop(counters_.bytes, holder_cost);
    return {};
  }
  drop(s, c, freed);
  return {};
}

/// Takes an object out, under the lock of its stripe.
void ram_backend::drop(stripe& s, const core::cid& c, groups_ptr& freed) {
  auto i = s.objects.find(c);
  auto& o = i->second;
  const auto cost = cost_of(o.size) + (o.holds() - 1) * holder_cost;
  freed = std::move(o.groups);
  s.objects.erase(i);
  work_.forget_copy(c);
  budget_.give_back(cost);
  counters::drop(counters_.objects);
  counters::drop(counters_.bytes, cost);
}

// -- copies -----------------------------------------------------------------------------------

void ram_backend::keep(const core::cid& c, const store_id& node, outcome<bool> then) {
  auto kept = [&]() -> result<bool> {
    auto& s = stripe_of(c);
    std::lock_guard guard{s.mutex};
    auto i = s.objects.find(c);
    if (i == s.objects.end())
      return false;
    if (i->second.nodes.contains(node))
      return true;
    if (!budget_.take(holder_cost))
      return fail(ec::store_quota, "the store is full (storage.quota)");
    counters::bump(counters_.bytes, holder_cost);
    i->second.nodes.insert(node);
    return true;
  }();
  then(std::move(kept));
}

result<void> ram_backend::end_copy(const core::cid& c, const store_id& node, bool needed) {
  groups_ptr freed; // outside of the lock
  auto& s = stripe_of(c);
  std::lock_guard guard{s.mutex};
  auto i = s.objects.find(c);
  if (i == s.objects.end() || !i->second.nodes.contains(node))
    return {};
  auto& o = i->second;
  if (o.holds() > 1) {
    o.nodes.erase(node);
    budget_.give_back(holder_cost);
    counters::drop(counters_.bytes, holder_cost);
  } else if (!needed && o.pins == 0) {
    drop(s, c, freed);
  }
  return {};
}

/// At one go: what is in RAM is soon looked through.
void ram_backend::walk(const walk_order& order, outcome<walk_state> then) {
  walk_state now;
  bool all = order.again;
  {
    std::lock_guard guard{walk_mutex_};
    if (walk_.mark != order.mark) {
      // The first one of a store that noted all puts finds nothing new.
      all = std::exchange(unnoted_, false) || walk_.mark != 0;
      walk_ = {.mark = order.mark};
    } else if (order.again) {
      walk_.audit = true;
    }
    now = walk_;
  }
  if (all)
    for (auto& s : stripes_) {
      std::lock_guard guard{s.mutex};
      for (const auto& [c, o] : s.objects)
        if (!o.holders.empty() && !work_.has_copy(c))
          work_.note_copy(c);
    }
  then(now);
}

result<object_info> ram_backend::add_pins(const core::cid& c, bool more) {
  auto& s = stripe_of(c);
  std::lock_guard guard{s.mutex};
  auto i = s.objects.find(c);
  if (i == s.objects.end() || (!more && i->second.pins == 0))
    return fail(ec::not_found, i == s.objects.end() ? "no such object" : "the object has no pin");
  i->second.pins += more ? 1 : 0xffff'ffff;
  if (i->second.pins < 2) {
    std::lock_guard pinned_guard{pinned_mutex_};
    if (i->second.pins == 1)
      pinned_.insert(c);
    else
      pinned_.erase(c);
  }
  return i->second.info(c);
}

result<object_page> ram_backend::pins(const std::optional<core::cid>& after, std::size_t limit) {
  std::vector<core::cid> found; // one more than asked for says that there are more
  {
    std::lock_guard guard{pinned_mutex_};
    auto i = after ? pinned_.upper_bound(*after) : pinned_.begin();
    for (; i != pinned_.end() && found.size() <= limit; ++i)
      found.push_back(*i);
  }
  object_page page;
  if (found.size() > limit) {
    found.pop_back();
    page.next = found.back();
  }
  for (const auto& c : found)
    if (auto info = head(c); info && info->pins > 0)
      page.items.push_back(*info);
  return page;
}

} // namespace

std::unique_ptr<backend> make_ram_backend(std::uint64_t quota, const core::clock& clock) {
  return std::make_unique<ram_backend>(quota, clock);
}

} // namespace ron::storage
