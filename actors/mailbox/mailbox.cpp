#include "mailbox/mailbox.hpp"

#include "core/ids.hpp"
#include "mailbox/delivery_service.hpp"
#include "mailbox/journal_service.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>

namespace ron::mailbox {

namespace {

using core::instant;

std::uint64_t random_number() {
  std::array<std::uint8_t, 8> raw;
  core::random_bytes(raw);
  std::uint64_t v = 0;
  std::memcpy(&v, raw.data(), sizeof v);
  return v;
}

partition_limits share_of(const mailbox_limits& all) {
  const auto n = std::max<std::size_t>(all.partitions, 1);
  auto share = [n](auto total) {
    return std::max<decltype(total)>(total / static_cast<decltype(total)>(n), 1);
  };
  partition_limits one;
  one.messages_max = share(all.messages_max);
  one.bytes_max = share(all.bytes_max);
  one.topics_max = share(all.topics_max);
  one.dedup_max = share(all.dedup_max);
  one.attempts_max = all.attempts_max;
  one.dedup_window = all.dedup_window;
  return one;
}

/// What reads partitions at start; each has one piece on order.
constexpr std::size_t reader_threads = 2;

/// How often partitions that nobody uses are cleared of what is over.
constexpr milliseconds clear_interval{10'000};

std::size_t owner_of(const mailbox_state& st, const std::string& topic) {
  return st.parts->index_of(topic) % st.replicas->size();
}

/// Why partition `at` takes no request now, if it does not.
core::result<void> check_open(mailbox_state& st, std::size_t at) {
  if (st.seats[at].loading)
    return core::fail(core::ec::degraded, "the partition of this topic is read from disk", 250);
  if (st.parts->store() && !st.parts->store()->has_room())
    return core::fail(core::ec::busy, "too much waits for the disk", 50);
  return {};
}

/// Serves a request on the shard that holds its topic: here, or by passing it on. `serve` gets the
/// number of the partition.
template <class Out, class In, class F>
caf::result<Out> at_owner(mailbox_self self, In& request, F serve) {
  auto& st = self->state;
  const auto owner = owner_of(st, request.topic);
  if (st.replicas->size() > 1 && owner != self->home().index()) {
    auto there = caf::actor_cast<mailbox_actor>(st.replicas->at(owner));
    if (!there)
      return caf::make_error(core::ec::degraded, "the partition of this topic is restarting");
    return self->delegate(there, std::move(request));
  }
  const auto at = st.parts->index_of(request.topic);
  if (auto ok = check_open(st, at); !ok)
    return core::to_caf(ok.error());
  return serve(at);
}

/// Answers with `value` once it is kept.
template <class T>
caf::result<T> answer(mailbox_self self, std::size_t at, T value) {
  auto& parts = *self->state.parts;
  if (!parts.store()) {
    parts.publish(at);
    return value;
  }
  auto promise = self->make_response_promise<T>();
  answer_when_kept(self, at, promise, std::move(value));
  return promise;
}

// -- the handlers ------------------------------------------------------------------

/// A send of whatever kind.
template <class Request, class Answer>
void accept(mailbox_self self, std::size_t at, Request& m, core::answer_to<Answer> to) {
  auto& st = self->state;
  const bool watched = st.waiters->size() != 0 || st.followers->size() != 0;
  const auto topic = watched ? m.topic : std::string{};
  const auto now = core::recent_time(self);
  auto a = st.parts->at(at).send(std::move(m), now, st.parts->clock().wall_ms());
  if (!a) {
    keep(self, at);
    return to.fail(std::move(a.error()));
  }
  if (a->behind != 0) {
    keep(self, at);
    st.seats[at].replays[a->behind].push_back(
      [self, at, m = std::move(m), to = std::move(to)](core::result<void> r) mutable {
        if (r)
          r = check_open(self->state, at);
        r ? accept(self, at, m, std::move(to)) : to.fail(std::move(r.error()));
      });
  } else if (a->unconfirmed == 0) {
    keep(self, at);
    to.deliver(std::move(a->answer));
    if (watched) {
      pump(self, topic);
      show_followers(self, topic);
    }
  } else {
    write_send(self, at, std::move(*a), std::move(to));
  }
}

void serve(mailbox_self self, std::size_t at, outgoing& m, core::answer_to<sent> to) {
  accept(self, at, m, std::move(to));
}

void serve(mailbox_self self, std::size_t at, outgoing_batch& b, core::answer_to<sent_batch> to) {
  accept(self, at, b, std::move(to));
}

caf::result<headlines> serve(mailbox_self self, std::size_t at, const look& q) {
  auto& box = self->state.parts->at(at);
  const auto now = self->clock().now();
  headlines out{q.dead ? box.dead_letters(q.topic, q.limit, now)
                       : box.peek(q.topic, q.limit, now)};
  keep(self, at);
  return out;
}

void serve(mailbox_self self, std::size_t at, settle& s, core::answer_to<settled> to) {
  auto& box = self->state.parts->at(at);
  const auto now = core::recent_time(self);
  settled out{s.ack ? box.ack(s.topic, s.receipts, now) : box.nack(s.topic, s.receipts, now)};
  const auto topic = s.topic;
  keep(self, at, [self, s = std::move(s), to = std::move(to),
                  out = std::move(out)](core::result<void> r) mutable {
    if (!r)
      return to.fail(std::move(r.error()));
    for (const auto& receipt : s.receipts)
      self->state.readers->settled(receipt);
    to.deliver(std::move(out));
    pump(self, s.topic); // its reader may have room
  });
  pump(self, topic); // the next message of a key may be deliverable now
}

/// Serves what came as a message.
template <class Out, class In>
caf::result<Out> by_message(mailbox_self self, In& request) {
  return at_owner<Out>(self, request, [&](std::size_t at) -> caf::result<Out> {
    auto promise = self->make_response_promise<Out>();
    serve(self, at, request, core::answer_to<Out>{promise});
    return promise;
  });
}

/// Serves what is asked in place.
template <class Out, class In>
void serve_here(mailbox_self self, In& request, core::answer_to<Out>& to) {
  const auto at = self->state.parts->index_of(request.topic);
  if (auto ok = check_open(self->state, at); !ok)
    return to.fail(std::move(ok.error()));
  serve(self, at, request, std::move(to));
}

/// The way in for those on the same shard.
class replica_door final : public mailbox_door {
public:
  explicit replica_door(mailbox_self self) : way_(self), state_(self->state) {}

  bool is_free() const noexcept override { return way_.is_free(); }
  bool holds(const std::string& topic) const override {
    return state_.replicas->size() == 1
           || owner_of(state_, topic) == core::shard::current()->index();
  }
  void serve(outgoing& m, core::answer_to<sent> to) override { hand(m, std::move(to)); }
  void serve(outgoing_batch& b, core::answer_to<sent_batch> to) override {
    hand(b, std::move(to));
  }
  void serve(receive& r, core::answer_to<received> to) override { hand(r, std::move(to)); }
  void serve(settle& s, core::answer_to<settled> to) override { hand(s, std::move(to)); }

private:
  template <class Request, class Answer>
  void hand(Request& r, core::answer_to<Answer> to) {
    way_.hand(r, [&to](mailbox_self self, Request& what) { serve_here(self, what, to); });
  }

  core::port<mailbox_self> way_;
  const mailbox_state& state_; ///< while the actor has not ended
};

caf::result<redriven> serve(mailbox_self self, std::size_t at, const redrive& r) {
  auto out = answer(
    self, at, redriven{self->state.parts->at(at).redrive(r.topic, r.max, self->clock().now())});
  pump(self, r.topic);
  return out;
}

caf::result<topic_stats> serve(mailbox_self self, std::size_t at, const look_at_topic& q) {
  auto out = self->state.parts->at(at).topic(q.topic, self->clock().now());
  keep(self, at);
  return out;
}

void clear_expired(mailbox_self self) {
  auto& st = self->state;
  const std::size_t first = st.replicas->size() == 1 ? 0 : self->home().index();
  for (auto at = first; at < st.parts->size(); at += st.replicas->size()) {
    if (st.seats[at].loading || (st.parts->store() && !st.parts->store()->has_room()))
      continue;
    st.parts->at(at).forget_expired(self->clock().now());
    keep(self, at);
  }
  self->delayed_send(self, clear_interval, atom::wake_v);
}

partition_sources sources_of(const std::shared_ptr<journal>& store,
                             const std::shared_ptr<std::atomic<std::uint64_t>>& last_seq) {
  partition_sources s;
  s.random = random_number;
  s.make_id = [ids = std::make_shared<core::id_source>()](std::int64_t wall_ms) {
    return message_id{ids->next_ulid(wall_ms)};
  };
  s.next_seqs = [last_seq](std::size_t n) {
    return last_seq->fetch_add(n, std::memory_order_relaxed) + 1;
  };
  if (store)
    s.bucket_of = [p = store.get()](std::string_view topic) { return p->bucket_of(topic); };
  return s;
}

} // namespace

// -- what all shards share -----------------------------------------------------------

mailbox_parts::mailbox_parts(mailbox_limits limits, const core::clock& clock,
                             std::shared_ptr<journal> store)
  : limits_(limits), clock_(clock), store_(std::move(store)),
    shown_(std::clamp<std::size_t>(limits.partitions, 1, buckets)) {
  const auto last_seq
    = std::make_shared<std::atomic<std::uint64_t>>(store_ ? store_->last_seq() : 0);
  partitions_.reserve(shown_.size());
  for (std::size_t i = 0; i < shown_.size(); ++i)
    partitions_.emplace_back(share_of(limits), sources_of(store_, last_seq));
  if (!store_)
    return;
  readers_ = std::make_unique<core::helper_pool>("ron-mail", reader_threads, shown_.size());
  for (std::size_t i = 0; i < shown_.size(); ++i)
    set_loaded(i, false);
}

std::size_t mailbox_parts::index_of(std::string_view topic) const noexcept {
  return (store_ ? store_->bucket_of(topic) : core::keyed_hash(topic)) % partitions_.size();
}

void mailbox_parts::close() {
  if (readers_)
    readers_->stop();
}

void mailbox_parts::set_loaded(std::size_t i, bool is) {
  std::lock_guard guard{shown_[i].mutex};
  if (std::exchange(shown_[i].loaded, is) != is)
    loading_.fetch_add(is ? std::size_t(-1) : 1, std::memory_order_acq_rel);
}

void mailbox_parts::publish(std::size_t i) {
  const auto now = partitions_[i].stats();
  std::lock_guard guard{shown_[i].mutex};
  shown_[i].last = now;
}

void mailbox_parts::show(line_stats& last, const line_stats& now) noexcept {
  waiting_.fetch_add(now.waiting - last.waiting, std::memory_order_relaxed);
  following_.fetch_add(now.following - last.following, std::memory_order_relaxed);
  readers_now_.fetch_add(now.readers - last.readers, std::memory_order_relaxed);
  held_.fetch_add(now.held - last.held, std::memory_order_relaxed);
  last = now;
}

partition_stats mailbox_parts::stats() const {
  partition_stats all;
  for (const auto& s : shown_) {
    std::lock_guard guard{s.mutex};
    all += s.last;
  }
  all.damaged = store_ ? store_->damaged() : 0;
  all.stalled = stalled() ? 1 : 0;
  all.waiting = static_cast<std::uint64_t>(waiting_.load(std::memory_order_relaxed));
  all.following = static_cast<std::uint64_t>(following_.load(std::memory_order_relaxed));
  all.readers = static_cast<std::uint64_t>(readers_now_.load(std::memory_order_relaxed));
  all.held = static_cast<std::uint64_t>(held_.load(std::memory_order_relaxed));
  return all;
}

mailbox_state::~mailbox_state() {
  if (!parts)
    return;
  parts->show(shown, {});
  if (auto* here = core::shard::current())
    replicas->open_door(here->index(), nullptr);
  if (!gathered.batch.ends.empty()) // nobody is left to be told
    parts->store()->write(source, gathered.batch, [](const batch_outcome&) {});
}

// -- the replica -----------------------------------------------------------------------

mailbox_replica::behavior_type make_mailbox(mailbox_self self,
                                            std::shared_ptr<mailbox_parts> parts,
                                            std::shared_ptr<core::role_table> replicas) {
  auto& st = self->state;
  st.parts = std::move(parts);
  st.replicas = std::move(replicas);
  const auto most = st.parts->limits().waiters_max;
  st.waiters.emplace(most);
  st.followers.emplace(most);
  st.readers.emplace(most);
  st.seats.resize(st.parts->size());
  st.source = st.replicas->size() == 1 ? 0 : self->home().index();
  if (auto* here = core::shard::current())
    st.replicas->open_door(here->index(), std::make_shared<replica_door>(self));
  begin_loading(self);
  self->delayed_send(self, clear_interval, atom::wake_v);
  return {
    [self](outgoing& m) { return by_message<sent>(self, m); },
    [self](outgoing_batch& b) { return by_message<sent_batch>(self, b); },
    [self](receive& r) { return by_message<received>(self, r); },
    [self](browse& b) -> caf::result<browsed> {
      return at_owner<browsed>(self, b, [&](std::size_t at) { return serve(self, at, b); });
    },
    [self](leave& l) { on_leave(self, l); },
    [self](look& q) -> caf::result<headlines> {
      return at_owner<headlines>(self, q, [&](std::size_t at) { return serve(self, at, q); });
    },
    [self](settle& s) { return by_message<settled>(self, s); },
    [self](redrive& r) -> caf::result<redriven> {
      return at_owner<redriven>(self, r, [&](std::size_t at) { return serve(self, at, r); });
    },
    [self](look_at_topic& q) -> caf::result<topic_stats> {
      return at_owner<topic_stats>(self, q, [&](std::size_t at) { return serve(self, at, q); });
    },
    [self](atom::tick) {
      self->state.tick_at = {};
      pump_all(self);
    },
    [self](atom::tick, std::uint64_t at) { retry_load(self, static_cast<std::size_t>(at)); },
    [self](atom::wake) { clear_expired(self); },
  };
}

} // namespace ron::mailbox
