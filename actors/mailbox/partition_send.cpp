#include "core/hash.hpp"
#include "mailbox/partition.hpp"

#include <algorithm>

namespace ron::mailbox {

using core::ec;
using core::fail;
using core::instant;
using core::result;

namespace {

/// What the messages of one send are remembered by: message 0 of a batch has the place of a message
/// that is sent alone, so that one key cannot be used for both.
class slot_source {
public:
  explicit slot_source(const sending& from) {
    name_.reserve(from.caller.size() + from.topic.size() + from.idempotency_key.size() + 16);
    for (const auto* part : {&from.caller, &from.topic, &from.idempotency_key}) {
      add(part->size()); // no two sends make the same bytes
      name_ += *part;
    }
    common_ = name_.size();
  }
  send_slot of(std::size_t index) {
    name_.resize(common_);
    if (index != 0)
      add(index);
    return core::b3::hash({reinterpret_cast<const std::uint8_t*>(name_.data()), name_.size()});
  }

private:
  void add(std::size_t n) {
    for (int shift = 0; shift < 32; shift += 8)
      name_.push_back(static_cast<char>(n >> shift & 0xff));
  }

  std::string name_;
  std::size_t common_ = 0;
};

} // namespace

// -- sending -------------------------------------------------------------------

result<accepted<sent>> partition::send(outgoing&& m, instant now, std::int64_t wall_ms) {
  accepted<sent> out;
  auto a = send(m, {static_cast<outgoing_message*>(&m), 1}, {&out.answer, 1}, now, wall_ms);
  if (!a)
    return std::unexpected{a.error()};
  static_cast<admission&>(out) = *a;
  return out;
}

result<accepted<sent_batch>> partition::send(outgoing_batch&& b, instant now,
                                             std::int64_t wall_ms) {
  accepted<sent_batch> out;
  out.answer.messages.resize(b.messages.size());
  auto a = send(b, b.messages, out.answer.messages, now, wall_ms);
  if (!a)
    return std::unexpected{a.error()};
  static_cast<admission&>(out) = *a;
  return out;
}

/// Everything that can refuse comes before anything is changed.
result<admission> partition::send(const sending& from, std::span<outgoing_message> messages,
                                  std::span<sent> answers, instant now, std::int64_t wall_ms) {
  forget_sends(now);
  expire(now);
  const bool keyed = !from.idempotency_key.empty();
  if (keyed) {
    auto behind = find_replays(from, messages, answers);
    if (!behind)
      return std::unexpected{behind.error()};
    if (*behind != 0)
      return admission{.behind = *behind};
  }
  std::size_t fresh = 0;
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < messages.size(); ++i)
    if (!answers[i].duplicate) {
      ++fresh;
      bytes += size_of_parts(messages[i].payload, messages[i].key, messages[i].attrs);
    }
  if (fresh != 0)
    if (auto room = check_room(from, fresh, bytes); !room)
      return std::unexpected{room.error()};
  totals_.duplicates_total += messages.size() - fresh;
  if (fresh == 0)
    return admission{};
  auto& topic = topic_of(from.topic);
  const auto first = sources_.next_seqs(fresh);
  auto seq = first;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    if (answers[i].duplicate)
      continue;
    const auto& there = accept(topic, seq, messages[i], now, wall_ms);
    answers[i].message_id = there.id;
    if (keyed)
      remember(from.caller, slots_[i], messages[i].body_hash, there, topic.second.in, seq, now);
    ++seq;
  }
  totals_.sent_total += fresh;
  return stored() ? admission{first, fresh, &topic.first} : admission{};
}

const partition::message& partition::accept(topic_map::value_type& topic, std::uint64_t seq,
                                            outgoing_message& m, instant now,
                                            std::int64_t wall_ms) {
  auto& there = add(topic, seq);
  there.id = sources_.make_id(std::max(wall_ms, newest_ms_));
  there.payload = std::move(m.payload);
  there.key = std::move(m.key);
  there.attrs = std::move(m.attrs);
  there.received_at_ms = wall_ms;
  there.when = now + m.delay;
  if (m.ttl)
    there.expires = now + *m.ttl;
  if (stored()) {
    changes_.emplace_back(keep_mail{topic.second.in, seq, topic.first, &there, there});
    there.at = place::unconfirmed;
  }
  enter(topic, seq, there);
  return there;
}

/// Answers for those messages that are remembered, and slots for all. Not 0: the last of them that
/// is not confirmed.
result<std::uint64_t> partition::find_replays(const sending& from,
                                              std::span<const outgoing_message> messages,
                                              std::span<sent> answers) {
  slot_source slots{from};
  slots_.clear();
  std::uint64_t behind = 0;
  for (std::size_t i = 0; i < messages.size(); ++i) {
    const auto& slot = slots_.emplace_back(slots.of(i));
    const auto known = sends_.find(slot);
    if (known == sends_.end())
      continue;
    if (known->second.body_hash != messages[i].body_hash)
      return fail(ec::conflict, "this Idempotency-Key was used with another body");
    answers[i] = {known->second.message_id, true};
    behind = std::max(behind, known->second.unconfirmed);
  }
  return behind;
}

result<void> partition::check_room(const sending& from, std::size_t messages,
                                   std::uint64_t bytes) {
  if (!from.idempotency_key.empty()) {
    const auto mine = sends_of_caller_.find(from.caller);
    const auto of_caller = mine == sends_of_caller_.end() ? 0 : mine->second;
    if (sends_.size() + messages > limits_.dedup_max
        || of_caller + messages > limits_.dedup_caller_max)
      return fail(ec::quota, "too many idempotency keys are remembered; each is kept for "
                            "mailbox.dedup-window",
                  1'000);
  }
  auto refuse = [&](const char* why) {
    totals_.refused_total += messages;
    return fail(ec::store_quota, why);
  };
  if (messages_ + messages > limits_.messages_max || bytes_ + bytes > limits_.bytes_max)
    return refuse("the mailbox is full; acknowledge or expire messages first");
  if (topics_.size() >= limits_.topics_max && !topics_.contains(from.topic))
    return refuse("too many topics hold messages");
  return {};
}

void partition::confirm(const admission& a, instant now) {
  auto topic = topics_.find(*a.topic);
  auto& t = topic->second;
  auto next = t.messages.find(a.unconfirmed); // what is not confirmed stays, so they are in a row
  for (std::size_t n = 0; n < a.count; ++n) {
    const auto i = next++;
    auto& [seq, m] = *i;
    if (auto s = unconfirmed_sends_.extract(seq))
      sends_.at(s.mapped()).unconfirmed = 0;
    m.at = place::queued;
    if (m.expires && *m.expires <= now) {
      ++totals_.expired_total;
      erase(t, seq);
    } else if (m.key.empty() || t.keys.at(m.key).front() == seq) {
      t.queued.insert({m.when, seq});
    }
  }
  drop_if_empty(topic);
}

void partition::cancel(const admission& a) {
  auto topic = topics_.find(*a.topic);
  for (auto seq = a.unconfirmed; seq < a.unconfirmed + a.count; ++seq) {
    if (auto s = unconfirmed_sends_.extract(seq))
      forget(sends_.find(s.mapped()));
    remove(topic->second, seq);
  }
  totals_.sent_total -= a.count;
  drop_if_empty(topic);
}

// -- idempotent sends ----------------------------------------------------------

void partition::remember(const std::string& caller, const send_slot& slot,
                         const std::array<std::uint8_t, 32>& body_hash, const message& what,
                         bucket in, std::uint64_t seq, instant now) {
  send_record r;
  r.caller = caller;
  r.body_hash = body_hash;
  r.message_id = what.id;
  r.until = now + limits_.dedup_window.get();
  r.in = in;
  if (stored()) {
    r.unconfirmed = seq;
    unconfirmed_sends_.emplace(seq, slot);
  }
  ++sends_of_caller_[caller];
  sends_expiring_.emplace(r.until, slot);
  const auto& there = sends_.emplace(slot, std::move(r)).first->second;
  if (stored())
    changes_.emplace_back(keep_send{in, slot, &there});
}

void partition::forget(send_map::iterator i) {
  auto mine = sends_of_caller_.find(i->second.caller);
  if (--mine->second == 0)
    sends_of_caller_.erase(mine);
  sends_expiring_.erase({i->second.until, i->first});
  sends_.erase(i);
}

void partition::forget_sends(instant now) {
  for (auto n = limits_.sweep_max; n > 0 && !sends_expiring_.empty(); --n) {
    const auto& [until, slot] = *sends_expiring_.begin();
    auto i = sends_.find(slot);
    if (until > now || i->second.unconfirmed != 0)
      return;
    if (stored())
      changes_.emplace_back(forget_send{i->second.in, slot});
    forget(i);
  }
}

} // namespace ron::mailbox
