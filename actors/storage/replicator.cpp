#include "storage/replicator.hpp"

#include "core/log.hpp"
#include "storage/random_seed.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

namespace ron::storage {

namespace {

/// Rows of the work list read at once, and how often in a row if there is nothing to do in them.
constexpr std::size_t page = 256;
constexpr int pages_max = 16;

std::vector<std::string> names_of(const std::vector<peer_options>& peers) {
  std::vector<std::string> out;
  for (const auto& p : peers)
    out.push_back(p.address.to_string());
  return out;
}

core::instant now() {
  return std::chrono::steady_clock::now();
}

/// True if the peer is there and takes what we ask for, whether it has room or not.
bool answers(const transferred& r) noexcept {
  return r.how != transfer_outcome::unreachable && r.failure != transfer_failure::unauthorized;
}

} // namespace

replicator::replicator(std::shared_ptr<backend> db, replicator_options options)
  : db_(std::move(db)), options_(std::move(options)), pacer_(options_.rate),
    copies_(options_.copies),
    machine_(options_.limits, options_.copies, names_of(options_.peers), random_seed()),
    notes_(options_.peers.size()) {
  for (const auto& p : options_.peers)
    peers_.push_back(std::make_unique<peer>(p, pacer_));
  if (options_.copies > 1)
    shared_->walk.emplace(options_.walk, mark_of(options_.copies, names_of(options_.peers)),
                          now());
  db_->set_replication({.copies = options_.copies > 1, .others = true});
}

void replicator::set(std::uint32_t copies, std::uint64_t rate) {
  pacer_.set_rate(rate);
  std::lock_guard walking{walk_mutex_};
  {
    std::lock_guard guard{mutex_};
    if (copies == copies_)
      return;
  }
  // First the puts, then the walk over what was there before.
  db_->set_replication({.copies = copies > 1, .others = true});
  {
    std::lock_guard guard{mutex_};
    copies_ = copies;
    machine_.set_copies(copies);
  }
  std::lock_guard guard{shared_->mutex};
  ++shared_->walks;
  shared_->walk.reset();
  if (copies > 1)
    shared_->walk.emplace(options_.walk, mark_of(copies, names_of(options_.peers)), now());
}

bool replicator::step() {
  if (stop_.stop_requested())
    return false;
  const auto me = self();
  if (!me)
    return false; // the next tick tries again
  auto t = choose();
  if (!t) {
    walk_on();
    refill();
    t = choose();
  }
  if (!t)
    return probe(*me);
  auto& to = *peers_[t->peer];
  const auto stop = stop_.get_token();
  transferred r;
  switch (t->what) {
    case duty::copy: r = to.send(*db_, *me, t->cid, stop); break;
    case duty::repair: r = to.fetch(*db_, *me, t->cid, stop); break;
    case duty::release: r = to.release(*me, t->cid); break;
  }
  if (r.how == transfer_outcome::done)
    ++(t->what == duty::copy ? sent_ : t->what == duty::repair ? repaired_ : released_);
  note(t->peer, r);
  std::lock_guard guard{mutex_};
  if (auto over = machine_.done(*t, r.how, now()))
    settle(*over);
  return true;
}

/// The id of our own store, which its first use makes.
std::optional<store_id> replicator::self() {
  {
    std::lock_guard guard{shared_->mutex};
    if (shared_->self || shared_->asked)
      return shared_->self;
    shared_->asked = true;
  }
  db_->identify([to = shared_](const core::result<store_id>& id) {
    std::lock_guard guard{to->mutex};
    to->asked = false;
    if (id)
      to->self = *id;
  });
  std::lock_guard guard{shared_->mutex};
  return shared_->self;
}

std::optional<transfer> replicator::choose() {
  std::lock_guard guard{mutex_};
  return machine_.next(now());
}

/// Reads on in the two lists, from their begin again after their end. What is tracked already is
/// not taken in twice; when nothing of it can be made, others have their turn.
void replicator::refill() {
  std::lock_guard one{refill_mutex_};
  {
    std::lock_guard guard{mutex_};
    if (!machine_.has_room())
      machine_.drop_waiting();
  }
  std::multiset<core::cid> ending;
  {
    std::lock_guard guard{shared_->mutex};
    ending = shared_->settling;
  }
  int ends = 0; // of the two lists
  for (int n = 0; n < pages_max && ends < 2; ++n) {
    const bool releases = reading_ == duty::release;
    auto items = releases ? db_->releases(place_, page) : db_->work(place_, page);
    if (!items)
      return; // the next tick tries again
    for (const auto& i : *items) {
      if (ending.contains(i.cid))
        continue;
      std::lock_guard guard{mutex_};
      if (auto over = machine_.add(i, now()))
        settle(*over);
    }
    if (items->size() == page) {
      place_ = items->back().cid;
    } else {
      place_.reset();
      reading_ = releases ? duty::copy : duty::release;
      ++ends;
    }
    // Something to do, and no list left out that has just had its turn.
    std::lock_guard guard{mutex_};
    if (machine_.tracked() > 0 && ends != 1)
      return;
  }
}

/// Has the store put more of its objects on the list, if that is due.
void replicator::walk_on() {
  const auto backlog = db_->stats().work;
  std::lock_guard walking{walk_mutex_};
  std::optional<walk_order> order;
  std::uint64_t walk = 0;
  {
    std::lock_guard guard{shared_->mutex};
    if (shared_->walk)
      order = shared_->walk->next(now(), backlog);
    walk = shared_->walks;
  }
  if (!order)
    return;
  db_->walk(*order, [to = shared_, walk](const core::result<walk_state>& s) {
    std::lock_guard guard{to->mutex};
    if (to->walk && to->walks == walk)
      to->walk->done(s ? std::optional{*s} : std::nullopt, now());
  });
}

/// Under `mutex_`, so that what is written off by an old number of copies is in the store before
/// the walk by a new one.
void replicator::settle(const settlement& s) {
  {
    std::lock_guard guard{shared_->mutex};
    shared_->settling.insert(s.cid);
  }
  db_->settle(s, [to = shared_, cid = s.cid](const core::result<void>&) {
    std::lock_guard guard{to->mutex}; // after an error it is still listed, and done again
    if (auto i = to->settling.find(cid); i != to->settling.end())
      to->settling.erase(i);
  });
}

/// Asks a peer that nothing goes to whether it is there. True if one was asked.
bool replicator::probe(const store_id& self) {
  std::optional<std::uint32_t> p;
  {
    std::lock_guard guard{mutex_};
    p = machine_.probe(now());
  }
  if (!p)
    return false;
  const auto r = peers_[*p]->probe(self);
  note(*p, r);
  std::lock_guard guard{mutex_};
  machine_.probed(*p, r.how, now());
  return true;
}

void replicator::note(std::uint32_t peer, const transferred& r) {
  bytes_ += r.bytes;
  if (stop_.stop_requested())
    return; // what was cut off is nobody's fault
  ++failed_[static_cast<std::size_t>(r.failure)];
  note_proof(peer, r);
  note_store(peer);
  log_change(peer, r);
}

void replicator::note_proof(std::uint32_t peer, const transferred& r) {
  proofs_ += r.proofs;
  unproven_ += r.unproven;
  if (r.unproven == 0)
    return;
  {
    std::lock_guard guard{mutex_};
    notes_[peer].unproven += r.unproven;
  }
  core::log::warn("storage", "a peer said that it keeps an object and could not show it",
                  {{"peer", options_.peers[peer].address.to_string()},
                   {"now", r.how == transfer_outcome::done ? "it has got it again"
                                                           : "it is left alone for a while"}});
}

/// A peer that comes back with another store has lost what it kept for us.
void replicator::note_store(std::uint32_t peer) {
  const auto& seen = peers_[peer]->store();
  if (!seen)
    return;
  {
    std::lock_guard guard{mutex_};
    auto& before = notes_[peer].store;
    const bool lost = before && *before != *seen;
    before = *seen;
    if (!lost)
      return;
  }
  core::log::warn("storage", "a peer has begun with an empty store; it gets its copies again",
                  {{"peer", options_.peers[peer].address.to_string()}});
  std::lock_guard guard{shared_->mutex};
  if (shared_->walk)
    shared_->walk->ask();
}

/// A line when a peer begins to fail, fails in another way or is well again; not for each object.
void replicator::log_change(std::uint32_t peer, const transferred& r) {
  if (r.how == transfer_outcome::pointless)
    return;
  {
    std::lock_guard guard{mutex_};
    auto& n = notes_[peer];
    n.up = answers(r);
    n.failure = r.failure;
    n.failures += r.failure == transfer_failure::none ? 0 : 1;
    if (n.complaint == r.why)
      return;
    n.complaint = r.why;
  }
  const auto name = options_.peers[peer].address.to_string();
  if (r.failure == transfer_failure::none)
    core::log::info("storage", "a peer takes part in replication again", {{"peer", name}});
  else
    core::log::warn("storage", "replication with a peer fails and is tried again",
                    {{"peer", name}, {"reason", std::string{to_string(r.failure)}},
                     {"why", r.why}});
}

replication_stats replicator::stats() const {
  replication_stats out;
  const auto s = db_->stats();
  out.pending = s.work;
  out.releases = s.releases;
  out.releases_lost = s.releases_lost;
  out.objects = s.objects;
  out.sent = sent_;
  out.repaired = repaired_;
  out.released = released_;
  out.bytes = bytes_;
  out.proofs = proofs_;
  out.unproven = unproven_;
  out.rate = pacer_.rate();
  for (std::size_t i = 0; i < failed_.size(); ++i)
    out.failed[i] = failed_[i];
  {
    std::lock_guard guard{shared_->mutex};
    if (shared_->walk) {
      out.unknown = shared_->walk->unknown(out.objects);
      out.walk = shared_->walk->state();
    }
    if (shared_->self)
      out.store = shared_->self->to_text();
  }
  std::lock_guard guard{mutex_};
  out.copies = copies_;
  for (std::uint32_t p = 0; p < notes_.size(); ++p) {
    const auto& n = notes_[p];
    const auto rest = std::chrono::ceil<std::chrono::milliseconds>(machine_.rest_of(p, now()));
    out.peers.push_back({options_.peers[p].address.to_string(), n.up, n.complaint, n.failure,
                         n.failures, n.unproven, rest,
                         n.store ? n.store->to_text() : std::string{}});
  }
  return out;
}

} // namespace ron::storage
