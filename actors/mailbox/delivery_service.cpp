#include "mailbox/delivery_service.hpp"

#include "mailbox/journal_service.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

namespace ron::mailbox {

namespace {

using core::instant;

/// How soon to look again when too much waits for the disk.
constexpr milliseconds room_poll{50};

void keep_earlier(std::optional<instant>& next, std::optional<instant> other) {
  if (other && (!next || *other < *next))
    next = other;
}

void show_lines(mailbox_state& st) {
  st.parts->show(st.shown, {static_cast<std::int64_t>(st.waiters->size()),
                            static_cast<std::int64_t>(st.followers->size()),
                            static_cast<std::int64_t>(st.readers->size()),
                            static_cast<std::int64_t>(st.readers->held())});
}

/// Sets the timer unless one fires by `next` already; one that fires too early does no harm.
void arm(mailbox_self self, std::optional<instant> next) {
  auto& st = self->state;
  keep_earlier(next, st.waiters->next_end());
  keep_earlier(next, st.followers->next_end());
  show_lines(st);
  if (!next || (st.tick_at != instant{} && st.tick_at <= *next))
    return;
  st.tick_at = *next;
  self->delayed_send(self, core::timeout_until(*next, self->clock().now()), atom::tick_v);
}

/// Takes what `r` may have of the partition.
std::vector<delivery> take(mailbox_self self, std::size_t at, const receive& r, std::size_t room) {
  auto& st = self->state;
  auto most = r.most;
  most.messages = std::min(most.messages, room);
  const auto now = self->clock().now();
  auto found = st.parts->at(at).receive(r.topic, most, r.visibility, now);
  if (r.held_max != 0)
    for (const auto& d : found)
      st.readers->took(r.reader, d.receipt, now + r.visibility);
  return found;
}

/// Answers with what was taken once that is kept. If it is lost nobody was told of it: then it is
/// given back, whatever of it the disk has.
void hand_out(mailbox_self self, std::size_t at, const std::string& topic,
              core::answer_to<received> to, std::vector<delivery> found) {
  keep(self, at, [self, at, topic, to = std::move(to),
                  found = std::move(found)](core::result<void> r) mutable {
    if (r)
      return to.deliver(received{std::move(found)});
    std::vector<std::string> receipts;
    for (auto& d : found) {
      self->state.readers->settled(d.receipt);
      receipts.push_back(std::move(d.receipt));
    }
    self->state.seats[at].returns.emplace_back(topic, std::move(receipts));
    to.fail(std::move(r.error()));
  });
}

std::size_t room_of(mailbox_state& st, const receive& r, instant now) {
  return r.held_max == 0 ? r.most.messages : st.readers->room(r.reader, now);
}

/// Answers those who wait for a delivery of one topic, as far as there are messages. Returns when
/// the topic can deliver again, if somebody still waits for it.
std::optional<instant> deliver(mailbox_self self, const std::string& topic) {
  auto& st = self->state;
  const auto at = st.parts->index_of(topic);
  const auto now = self->clock().now();
  std::optional<instant> again;
  st.waiters->serve(topic, [&](waiting_receive& w) {
    if (st.seats[at].loading)
      return turn::stop; // pumped when it is there
    if (st.parts->store() && !st.parts->store()->has_room()) {
      keep_earlier(again, now + room_poll);
      return turn::stop;
    }
    const auto room = room_of(st, w.what, now);
    if (room == 0) {
      keep_earlier(again, st.readers->room_at(w.what.reader));
      return turn::passed;
    }
    auto found = take(self, at, w.what, room);
    if (found.empty()) {
      keep(self, at);
      keep_earlier(again, st.parts->at(at).next_delivery(topic));
      return turn::stop;
    }
    hand_out(self, at, topic, std::move(w.to), std::move(found));
    return turn::served;
  });
  return again;
}

/// What `b` asks to see; `cursor` leads on from there.
browsed look_through(partition& box, const browse& b, instant now) {
  browsed page;
  page.messages = box.read(b.topic, b.what, now);
  if (!page.messages.empty())
    page.cursor = page.messages.back().message_id;
  else
    page.cursor = b.what.after;
  return page;
}

} // namespace

void serve(mailbox_self self, std::size_t at, receive& r, core::answer_to<received> to) {
  auto& st = self->state;
  const auto now = self->clock().now();
  if (st.readers->has_left(r.reader))
    return to.deliver({});
  if (r.held_max != 0 && !st.readers->enter(r.reader, r.held_max))
    return to.fail({core::ec::busy, "too many subscriptions", 1'000});
  if (const auto room = room_of(st, r, now); room != 0) {
    if (auto found = take(self, at, r, room); !found.empty()) {
      show_lines(st);
      return hand_out(self, at, r.topic, std::move(to), std::move(found));
    }
    keep(self, at);
  }
  if (r.wait_until <= now)
    return to.deliver({});
  if (st.waiters->full())
    return to.fail({core::ec::busy, "too many long polls wait", 1'000});
  const auto topic = r.topic;
  const auto until = r.wait_until;
  st.waiters->add(topic, until, {std::move(r), std::move(to)});
  pump(self, topic);
}

caf::result<browsed> serve(mailbox_self self, std::size_t at, browse& b) {
  auto& st = self->state;
  const auto now = self->clock().now();
  auto& box = st.parts->at(at);
  if (b.from_now)
    b.what.after = box.newest_id(b.topic);
  b.from_now = false;
  auto page = look_through(box, b, now);
  keep(self, at);
  if (!page.messages.empty() || b.wait_until <= now || st.readers->has_left(b.reader))
    return page;
  auto promise = self->make_response_promise<browsed>();
  const auto topic = b.topic;
  const auto until = b.wait_until;
  if (!st.followers->add(topic, until, {std::move(b), promise}))
    promise.deliver(caf::make_error(core::ec::busy, "too many followers wait", 1'000));
  else
    arm(self, std::nullopt);
  return promise;
}

void on_leave(mailbox_self self, leave& l) {
  auto& st = self->state;
  const auto at = st.parts->index_of(l.topic);
  const auto owner = at % st.replicas->size();
  if (st.replicas->size() > 1 && owner != self->home().index()) {
    if (auto there = caf::actor_cast<mailbox_actor>(st.replicas->at(owner)))
      self->send<caf::message_priority::high>(there, std::move(l));
    return; // what a replica that restarts held ends with its visibility periods
  }
  auto end = [&l](const auto& what, auto& answer, auto nothing) {
    if (what.reader != l.reader)
      return turn::passed;
    answer.deliver(std::move(nothing));
    return turn::served;
  };
  st.waiters->serve(l.topic, [&](waiting_receive& w) { return end(w.what, w.to, received{}); });
  st.followers->serve(l.topic,
                      [&](waiting_browse& w) { return end(w.what, w.promise, browsed{}); });
  if (auto held = st.readers->leave(l.reader); !held.empty())
    st.seats[at].returns.emplace_back(l.topic, std::move(held));
  give_back(self, at);
  pump(self, l.topic);
}

void give_back(mailbox_self self, std::size_t at) {
  auto& st = self->state;
  if (st.seats[at].loading || st.seats[at].returns.empty())
    return;
  auto returns = std::exchange(st.seats[at].returns, {});
  for (const auto& [topic, receipts] : returns)
    st.parts->at(at).give_back(topic, receipts, self->clock().now());
  keep(self, at, [self, at, returns = std::move(returns)](core::result<void> r) mutable {
    if (r)
      return;
    // The partition is read anew, with these still out; given back again when it is there.
    auto& again = self->state.seats[at].returns;
    std::ranges::move(returns, std::back_inserter(again));
  });
}

void show_followers(mailbox_self self, const std::string& topic) {
  auto& st = self->state;
  auto& box = st.parts->at(st.parts->index_of(topic));
  const auto now = self->clock().now();
  st.followers->serve(topic, [&](waiting_browse& w) {
    auto page = look_through(box, w.what, now);
    if (page.messages.empty())
      return turn::passed;
    w.promise.deliver(std::move(page));
    return turn::served;
  });
  show_lines(st);
}

void pump(mailbox_self self, const std::string& topic) {
  arm(self, deliver(self, topic));
}

void pump_all(mailbox_self self) {
  auto& st = self->state;
  std::optional<instant> next;
  for (const auto& topic : st.waiters->topics())
    keep_earlier(next, deliver(self, topic));
  const auto now = self->clock().now();
  while (auto late = st.waiters->take_expired(now))
    late->to.deliver({});
  while (auto late = st.followers->take_expired(now))
    late->promise.deliver(browsed{{}, late->what.what.after});
  arm(self, next);
}

} // namespace ron::mailbox
