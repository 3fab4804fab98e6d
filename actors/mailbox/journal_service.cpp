#include "mailbox/journal_service.hpp"

#include "core/log.hpp"
#include "mailbox/delivery_service.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace ron::mailbox {

namespace {

using core::result;

constexpr std::chrono::milliseconds load_retry{250};

/// Runs `f` as the actor, on its shard, with an outcome that the journal tells on any thread.
template <class F>
batch_kept at_home(mailbox_self self, F f) {
  return [home = &self->home(), run = self->bind(std::move(f))](batch_outcome o) mutable {
    home->submit([run = std::move(run), o = std::move(o)]() mutable { run(o); });
  };
}

void load_more(mailbox_self self, std::size_t at, read_place from);

/// A page of partition `at` was read, or not.
void on_page(mailbox_self self, std::size_t at, result<journal_page> page) {
  auto& parts = *self->state.parts;
  if (!page) {
    core::log::error("mailbox", "a partition cannot be read; trying again",
                     {{"partition", at}, {"why", page.error().message}});
    self->delayed_send(self, load_retry, atom::tick_v, std::uint64_t{at});
    return;
  }
  auto& box = parts.at(at);
  for (auto& m : page->mail)
    box.restore(std::move(m));
  for (auto& [in, s] : page->sends)
    box.restore(in, std::move(s));
  if (!page->next.done)
    return load_more(self, at, std::move(page->next));
  self->state.seats[at].loading = false;
  parts.publish(at);
  parts.set_loaded(at, true);
  give_back(self, at);
  pump_all(self);
}

void load_more(mailbox_self self, std::size_t at, read_place from) {
  auto parts = self->state.parts;
  auto work = [store = parts->store(), share = bucket_share{at, parts->size()},
               from = std::move(from)] { return store->read(share, from); };
  auto done = self->bind(
    [self, at](result<journal_page> page) { on_page(self, at, std::move(page)); });
  if (!parts->readers().run(self->home(), std::move(work), std::move(done)))
    self->delayed_send(self, load_retry, atom::tick_v, std::uint64_t{at});
}

void on_lost(mailbox_self self, std::size_t at, const core::error& why);
template <class Answer>
void on_send_known(mailbox_self self, std::size_t at, waiting_send<Answer>& w,
                   const result<void>& r);

/// Tells who waits for an entry what became of it.
void tell(mailbox_self self, written_entry& e, result<void> r) {
  --self->state.seats[e.at].outstanding;
  if (auto* then = std::get_if<kept>(&e.then))
    (*then)(std::move(r));
  else if (auto* send = std::get_if<waiting_send<sent>>(&e.then))
    on_send_known(self, e.at, *send, r);
  else
    on_send_known(self, e.at, std::get<waiting_send<sent_batch>>(e.then), r);
}

/// Replays of what `a` was are served now: by what is known, or what the failure left.
void let_replays_go_on(partition_seat& seat, const admission& a, const result<void>& r) {
  const auto end = a.unconfirmed + a.count;
  for (auto i = seat.replays.lower_bound(a.unconfirmed);
       i != seat.replays.end() && i->first < end; i = seat.replays.lower_bound(a.unconfirmed)) {
    auto again = seat.replays.extract(i);
    for (auto& go_on : again.mapped())
      go_on(r);
  }
}

/// Hands the journal what was gathered, as one job; all of it is told of in one turn.
void flush(mailbox_self self) {
  auto& st = self->state;
  auto& g = st.gathered;
  if (g.then.empty())
    return;
  auto told = [self, then = std::exchange(g.then, {})](const batch_outcome& o) mutable {
    for (std::size_t i = 0; i < then.size(); ++i) {
      const auto at = then[i].at;
      tell(self, then[i], o.of(i));
      if (i + 1 == then.size() || then[i + 1].at != at)
        self->state.parts->publish(at); // once for many sends in a row
    }
  };
  st.parts->store()->write(st.source, g.batch, at_home(self, std::move(told)));
  g.batch.changes.clear();
  g.batch.ends.clear();
  g.bytes = 0;
}

/// The gathered changes up to `end` are an entry of partition `at`; who waits for it is told as the
/// actor. All entries of a turn are written at its end.
template <class Then>
void add_entry(mailbox_self self, std::size_t at, std::size_t end, Then then) {
  auto& st = self->state;
  auto& g = st.gathered;
  for (auto i = g.batch.ends.empty() ? 0 : g.batch.ends.back(); i < end; ++i)
    if (const auto* mail = std::get_if<keep_mail>(&g.batch.changes[i]))
      g.bytes += mail->body->payload.size();
  ++st.seats[at].outstanding;
  g.batch.ends.push_back(end);
  g.then.push_back({at, std::move(then)});
}

void write_soon(mailbox_self self) {
  if (self->state.gathered.full())
    flush(self);
  else
    self->defer([self] { flush(self); });
}

/// Has everything kept that partition `at` has changed.
template <class F>
void write(mailbox_self self, std::size_t at, F then) {
  auto& changes = self->state.gathered.batch.changes;
  self->state.parts->at(at).move_changes(changes);
  add_entry(self, at, changes.size(), kept{std::move(then)});
  write_soon(self);
}

/// A change of partition `at` was lost: what it holds is not what its store holds.
void on_lost(mailbox_self self, std::size_t at, const core::error& why) {
  auto& seat = self->state.seats[at];
  if (seat.broken)
    return;
  seat.broken = true;
  core::log::warn("mailbox", "a write failed; the partition is read anew",
                  {{"partition", at}, {"why", why.message}});
  reload(self, at);
}

template <class Answer>
void on_send_known(mailbox_self self, std::size_t at, waiting_send<Answer>& w,
                   const result<void>& r) {
  auto& st = self->state;
  auto& box = st.parts->at(at);
  const bool watched = r && (st.waiters->size() != 0 || st.followers->size() != 0);
  const auto topic = watched ? *w.what.topic : std::string{};
  if (r)
    box.confirm(w.what, core::recent_time(self));
  else
    box.cancel(w.what);
  if (r)
    w.to.deliver(std::move(w.what.answer));
  else
    w.to.fail(r.error());
  let_replays_go_on(st.seats[at], w.what, r);
  if (!watched)
    return;
  pump(self, topic);
  show_followers(self, topic);
}

} // namespace

void begin_loading(mailbox_self self) {
  auto& st = self->state;
  if (!st.parts->store())
    return;
  for (std::size_t at = st.replicas->size() == 1 ? 0 : self->home().index(); at < st.parts->size();
       at += st.replicas->size())
    reload(self, at);
}

void reload(mailbox_self self, std::size_t at) {
  self->state.seats[at].loading = true;
  self->state.parts->set_loaded(at, false);
  // Whether this write succeeds is no matter: everything before it has been told of then.
  add_entry(self, at, self->state.gathered.batch.changes.size(),
            kept{[self, at](const result<void>&) { retry_load(self, at); }});
  write_soon(self);
}

void retry_load(mailbox_self self, std::size_t at) {
  auto& box = self->state.parts->at(at);
  box.clear();
  (void)box.take_changes(); // of what was lost
  self->state.seats[at].broken = false;
  load_more(self, at, {});
}

void keep(mailbox_self self, std::size_t at) {
  auto& st = self->state;
  st.parts->publish(at);
  if (!st.parts->store() || !st.parts->at(at).changed())
    return;
  write(self, at, [self, at](const result<void>& r) {
    if (!r)
      on_lost(self, at, r.error());
  });
}

void keep(mailbox_self self, std::size_t at, kept then) {
  auto& st = self->state;
  st.parts->publish(at);
  if (!st.parts->store() || (!st.parts->at(at).changed() && st.seats[at].outstanding == 0))
    return then({});
  write(self, at, [self, at, then = std::move(then)](result<void> r) mutable {
    if (!r)
      on_lost(self, at, r.error());
    else if (self->state.seats[at].broken)
      r = core::fail(core::ec::degraded, "the disk lost an earlier change of this topic", 250);
    then(std::move(r));
  });
}

namespace {

template <class Answer>
void write_accepted(mailbox_self self, std::size_t at, accepted<Answer> a,
                    core::answer_to<Answer> to) {
  auto& changes = self->state.gathered.batch.changes;
  const auto from = static_cast<std::ptrdiff_t>(changes.size());
  self->state.parts->at(at).move_changes(changes);
  // What was forgotten by the way makes room, so it is not held up by what may find none.
  const auto own = std::find_if(changes.begin() + from, changes.end(), [](const change& c) {
    return std::holds_alternative<keep_mail>(c);
  });
  if (own != changes.begin() + from)
    add_entry(self, at, static_cast<std::size_t>(own - changes.begin()),
              kept{[self, at](const result<void>& r) {
                if (!r)
                  on_lost(self, at, r.error());
              }});
  add_entry(self, at, changes.size(), waiting_send<Answer>{std::move(a), std::move(to)});
  write_soon(self);
}

} // namespace

void write_send(mailbox_self self, std::size_t at, accepted<sent> a, core::answer_to<sent> to) {
  write_accepted(self, at, std::move(a), std::move(to));
}

void write_send(mailbox_self self, std::size_t at, accepted<sent_batch> a,
                core::answer_to<sent_batch> to) {
  write_accepted(self, at, std::move(a), std::move(to));
}

} // namespace ron::mailbox
