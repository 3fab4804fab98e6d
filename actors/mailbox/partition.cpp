#include "mailbox/partition.hpp"

#include "core/hash.hpp"
#include "core/ids.hpp"
#include "core/sip_hash.hpp"
#include "mailbox/receipt.hpp"

#include <algorithm>

namespace ron::mailbox {

using core::ec;
using core::fail;
using core::instant;
using core::result;

std::uint64_t partition::size_of_parts(const core::bytes& payload, const std::string& key,
                                       const std::map<std::string, std::string>& attrs) noexcept {
  constexpr std::uint64_t overhead = 256; // bookkeeping counted against the byte budget
  auto n = overhead + payload.size() + key.size();
  for (const auto& [k, v] : attrs)
    n += k.size() + v.size();
  return n;
}

partition::partition(partition_limits limits, partition_sources sources)
  : limits_(limits), sources_(std::move(sources)) {
  // nop
}

std::size_t partition::slot_hash::operator()(const send_slot& s) const noexcept {
  return core::keyed_hash(core::byte_view{s}); // whoever chooses keys cannot choose places
}

std::uint64_t partition::size_of(const message& m) noexcept {
  return size_of_parts(m.payload, m.key, m.attrs);
}

void partition::note_state(const topic_state& t, std::uint64_t seq, const message& m) {
  if (stored())
    changes_.emplace_back(keep_state{t.in, seq, m});
}

void partition::move_changes(std::vector<change>& to) {
  to.insert(to.end(), changes_.begin(), changes_.end());
  changes_.clear();
}

// -- delivering ----------------------------------------------------------------

std::vector<delivery> partition::receive(const std::string& topic, const batch& most,
                                         milliseconds visibility, instant now) {
  expire(now);
  std::vector<delivery> out;
  auto i = topics_.find(topic);
  if (i == topics_.end())
    return out;
  auto& t = i->second;
  sweep(*i, now);
  std::size_t bytes = 0;
  while (out.size() < most.messages && bytes < most.payload_bytes && !t.queued.empty()
         && t.queued.front().when <= now) {
    const auto seq = t.queued.front().seq;
    auto& m = t.messages.at(seq);
    if (m.expires && *m.expires <= now) { // `expire` has not come to it yet
      ++totals_.expired_total;
      erase(t, seq);
      continue;
    }
    t.queued.pop_front();
    m.at = place::in_flight;
    m.when = now + visibility;
    m.nonce = sources_.random();
    totals_.redelivered_total += m.attempts > 0;
    ++m.attempts;
    t.in_flight.insert({m.when, seq});
    note_state(t, seq, m);
    out.push_back(delivery_of(m));
    out.back().receipt = make_receipt(seq, m.nonce);
    bytes += m.payload.size();
  }
  totals_.delivered_total += out.size();
  drop_if_empty(i);
  return out;
}

// Forgets messages of all topics whose time to live is over. One in flight lives until its delivery
// ends.
void partition::expire(instant now) {
  for (auto n = limits_.sweep_max;
       n > 0 && !expiring_.empty() && expiring_.begin()->first.first <= now; --n) {
    const auto seq = expiring_.begin()->first.second;
    auto& [name, t] = *expiring_.begin()->second;
    expiring_.erase(expiring_.begin());
    const auto at = t.messages.at(seq).at;
    if (at != place::queued && at != place::dead)
      continue;
    ++(at == place::dead ? totals_.dead_expired_total : totals_.expired_total);
    erase(t, seq);
    drop_if_empty(topics_.find(name));
  }
}

// Ends deliveries whose time is over. That they are over can be told from what the store has.
void partition::sweep(topic_map::value_type& topic, instant now) {
  auto& t = topic.second;
  for (auto n = limits_.sweep_max;
       n > 0 && !t.in_flight.empty() && t.in_flight.front().when <= now; --n) {
    const auto seq = t.in_flight.front().seq;
    t.in_flight.pop_front();
    if (t.messages.at(seq).attempts >= limits_.attempts_max)
      bury(topic, seq, now);
    else
      queue(t, seq, now, now);
  }
}

void partition::queue(topic_state& t, std::uint64_t seq, instant visible_from, instant now) {
  auto& m = t.messages.at(seq);
  if (m.expires && *m.expires <= now) {
    ++totals_.expired_total;
    return erase(t, seq);
  }
  m.at = place::queued;
  m.when = visible_from;
  t.queued.insert({visible_from, seq});
}

void partition::bury(topic_map::value_type& topic, std::uint64_t seq, instant now) {
  auto& t = topic.second;
  auto& m = t.messages.at(seq);
  m.at = place::dead;
  t.dead.insert(seq);
  ++dead_;
  ++totals_.dead_total;
  set_expiry(topic, seq, now + limits_.dead_keep); // time for whoever looks into it
  note_state(t, seq, m);
  release_key(t, m, seq);
}

void partition::erase(topic_state& t, std::uint64_t seq) {
  if (stored())
    changes_.emplace_back(forget_mail{t.in, seq});
  remove(t, seq);
}

// -- keeping the maps together -------------------------------------------------

partition::topic_map::value_type& partition::topic_of(const std::string& name) {
  auto [i, fresh] = topics_.try_emplace(name);
  if (fresh && stored())
    i->second.in = sources_.bucket_of(name);
  return *i;
}

// A place for a message: it is filled there, then entered.
partition::message& partition::add(topic_map::value_type& topic, std::uint64_t seq) {
  auto& all = topic.second.messages;
  return all.try_emplace(all.end(), seq)->second; // mostly the last
}

// Counts a message that was added, and puts it where it is looked for.
void partition::enter(topic_map::value_type& topic, std::uint64_t seq, message& m) {
  auto& t = topic.second;
  const auto size = size_of(m);
  ++messages_;
  bytes_ += size;
  t.bytes += size;
  if (m.expires)
    expiring_.emplace(std::pair{*m.expires, seq}, &topic);
  if (m.at == place::dead)
    return;
  if (join_line(t, m, seq) && m.at == place::queued)
    t.queued.insert({m.when, seq});
}

// Puts a message at the end of its key's line; true if it is the one that may be delivered.
bool partition::join_line(topic_state& t, const message& m, std::uint64_t seq) {
  if (m.key.empty())
    return true;
  auto& line = t.keys[m.key];
  line.push_back(seq);
  return line.size() == 1;
}

void partition::set_expiry(topic_map::value_type& topic, std::uint64_t seq,
                           std::optional<instant> expires) {
  auto& m = topic.second.messages.at(seq);
  if (m.expires)
    expiring_.erase({*m.expires, seq});
  m.expires = expires;
  if (expires)
    expiring_.emplace(std::pair{*expires, seq}, &topic);
}

void partition::remove(topic_state& t, std::uint64_t seq) {
  auto i = t.messages.find(seq);
  auto& m = i->second;
  if (m.at == place::queued)
    t.queued.erase({m.when, seq});
  else if (m.at == place::in_flight)
    t.in_flight.erase({m.when, seq});
  if (m.expires)
    expiring_.erase({*m.expires, seq});
  if (m.at == place::dead)
    dead_ -= t.dead.erase(seq);
  else
    release_key(t, m, seq);
  const auto size = size_of(m);
  bytes_ -= size;
  t.bytes -= size;
  --messages_;
  t.messages.erase(i);
}

// The front of a key's line is done: the next message of the key may be delivered.
void partition::release_key(topic_state& t, const message& m, std::uint64_t seq) {
  if (m.key.empty())
    return;
  auto line = t.keys.find(m.key);
  const bool was_front = line->second.front() == seq;
  std::erase(line->second, seq);
  if (line->second.empty()) {
    t.keys.erase(line);
  } else if (was_front) {
    const auto next = line->second.front();
    if (auto& n = t.messages.at(next); n.at == place::queued)
      t.queued.insert({n.when, next});
  }
}

void partition::drop_if_empty(topic_map::iterator i) {
  if (i->second.messages.empty())
    topics_.erase(i);
}

// -- what a store gives back ---------------------------------------------------

void partition::clear() {
  topics_.clear();
  expiring_.clear();
  messages_ = 0;
  bytes_ = 0;
  dead_ = 0;
  sends_.clear();
  sends_expiring_.clear();
  sends_of_caller_.clear();
  unconfirmed_sends_.clear();
}

void partition::restore(stored_mail s) {
  auto& topic = topic_of(s.topic);
  auto& t = topic.second;
  auto& m = add(topic, s.seq);
  static_cast<mail_body&>(m) = std::move(s.body);
  static_cast<mail_state&>(m) = s.state;
  if (auto id = core::ulid::parse(m.id))
    newest_ms_ = std::max(newest_ms_, id->time_ms() + 1); // its random part says nothing
  enter(topic, s.seq, m);
  if (m.at == place::dead) {
    t.dead.insert(s.seq);
    ++dead_;
  } else if (m.at == place::in_flight) {
    t.in_flight.insert({m.when, s.seq});
    if (m.key.empty())
      return;
    auto& line = t.keys.at(m.key); // whoever is in flight is the front of its line
    if (line.front() == s.seq)
      return;
    t.queued.erase({t.messages.at(line.front()).when, line.front()});
    line.pop_back();
    line.push_front(s.seq);
  }
}

void partition::restore(bucket in, stored_send s) {
  send_record r;
  static_cast<remembered_send&>(r) = std::move(s.what);
  r.in = in;
  ++sends_of_caller_[r.caller];
  sends_expiring_.emplace(r.until, s.slot);
  sends_.emplace(s.slot, std::move(r));
}

} // namespace ron::mailbox
