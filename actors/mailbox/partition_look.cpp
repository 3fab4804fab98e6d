#include "core/ids.hpp"
#include "mailbox/partition.hpp"
#include "mailbox/receipt.hpp"

#include <algorithm>
#include <utility>

namespace ron::mailbox {

using core::instant;

std::string_view to_string(receipt_status s) noexcept {
  switch (s) {
    case receipt_status::ok:
      return "ok";
    case receipt_status::gone:
      return "gone";
    case receipt_status::expired:
      break;
  }
  return "expired";
}

// -- receipts ------------------------------------------------------------------

template <class F>
std::vector<receipt_status> partition::settle(const std::string& topic,
                                              const std::vector<std::string>& receipts,
                                              instant now, F&& each) {
  expire(now);
  std::vector<receipt_status> out(receipts.size(), receipt_status::gone);
  auto t = topics_.find(topic);
  if (t == topics_.end())
    return out;
  sweep(*t, now);
  for (std::size_t k = 0; k < receipts.size(); ++k) {
    auto parsed = parse_receipt(receipts[k]);
    auto i = parsed ? t->second.messages.find(parsed->first) : t->second.messages.end();
    if (i == t->second.messages.end())
      continue;
    const auto& m = i->second;
    if (m.at != place::in_flight || m.nonce != parsed->second || m.when <= now) {
      out[k] = receipt_status::expired;
      continue;
    }
    each(*t, parsed->first);
    out[k] = receipt_status::ok;
  }
  drop_if_empty(t);
  return out;
}

std::vector<receipt_status> partition::ack(const std::string& topic,
                                           const std::vector<std::string>& receipts, instant now) {
  return settle(topic, receipts, now, [this](topic_map::value_type& t, std::uint64_t seq) {
    erase(t.second, seq);
    ++totals_.acked_total;
  });
}

std::vector<receipt_status> partition::nack(const std::string& topic,
                                            const std::vector<std::string>& receipts,
                                            instant now) {
  return settle(topic, receipts, now, [this, now](topic_map::value_type& t, std::uint64_t seq) {
    auto& m = t.second.messages.at(seq);
    t.second.in_flight.erase({m.when, seq});
    ++totals_.nacked_total;
    if (m.attempts >= limits_.attempts_max)
      return bury(t, seq, now);
    const auto shift = std::min<std::uint32_t>(m.attempts, 16);
    const auto top = std::min(limits_.backoff_max, limits_.backoff_min * (1 << shift));
    const auto span = static_cast<std::uint64_t>((top - limits_.backoff_min).count()) + 1;
    queue(t.second, seq, now + limits_.backoff_min + milliseconds(sources_.random() % span), now);
    if (auto i = t.second.messages.find(seq); i != t.second.messages.end())
      note_state(t.second, seq, i->second);
  });
}

void partition::give_back(const std::string& topic, const std::vector<std::string>& receipts,
                          instant now) {
  bool first = true;
  settle(topic, receipts, now, [&](topic_map::value_type& t, std::uint64_t seq) {
    auto& m = t.second.messages.at(seq);
    t.second.in_flight.erase({m.when, seq});
    ++totals_.returned_total;
    if (!std::exchange(first, false))
      --m.attempts;
    else if (m.attempts >= limits_.attempts_max)
      return bury(t, seq, now);
    queue(t.second, seq, now, now);
    if (auto i = t.second.messages.find(seq); i != t.second.messages.end())
      note_state(t.second, seq, i->second);
  });
}

// -- looking -------------------------------------------------------------------

headline partition::head_of(const message& m) {
  return {m.id, m.key, m.attempts, m.payload.size(), m.received_at_ms};
}

delivery partition::delivery_of(const message& m) {
  return {m.id, m.payload, m.attrs, m.key, m.attempts, m.received_at_ms, {}};
}

/// The first message with an id above `id`: ids ascend with the sequence numbers.
std::map<std::uint64_t, partition::message>::const_iterator
partition::first_after(const topic_state& t, const std::string& id) {
  const auto& all = t.messages;
  if (all.empty() || all.rbegin()->second.id <= id)
    return all.end();
  if (all.begin()->second.id > id)
    return all.begin();
  auto low = all.begin()->first; // up to here none is above `id`, from `high` on all are
  auto high = all.rbegin()->first;
  while (high - low > 1) {
    const auto middle = low + (high - low) / 2;
    const auto i = all.lower_bound(middle);
    if (i->second.id <= id)
      low = i->first;
    else
      high = middle;
  }
  return all.lower_bound(high);
}

std::vector<delivery> partition::read(const std::string& topic, const reading& q, instant now) {
  expire(now);
  std::vector<delivery> out;
  auto t = topics_.find(topic);
  if (t == topics_.end())
    return out;
  std::size_t bytes = 0;
  auto show = [&](const message& m) {
    if (m.at == place::unconfirmed || m.at == place::dead || (m.expires && *m.expires <= now))
      return;
    out.push_back(delivery_of(m));
    bytes += m.payload.size();
  };
  auto full = [&] { return out.size() >= q.most.messages || bytes >= q.most.payload_bytes; };
  const auto& all = t->second.messages;
  if (!q.after.empty()) {
    for (auto i = first_after(t->second, q.after); i != all.end() && !full(); ++i)
      show(i->second);
    return out;
  }
  auto i = q.before.empty() ? all.end() : first_after(t->second, q.before);
  while (i != all.begin() && !full())
    if ((--i)->second.id != q.before)
      show(i->second);
  return out;
}

std::string partition::newest_id(const std::string& topic) const {
  auto t = topics_.find(topic);
  if (t != topics_.end())
    for (auto i = t->second.messages.rbegin(); i != t->second.messages.rend(); ++i)
      if (i->second.at != place::unconfirmed) // what is confirmed later has a greater id
        return i->second.id;
  return core::ulid{}.to_text();
}

std::vector<headline> partition::peek(const std::string& topic, std::size_t limit, instant now) {
  expire(now);
  std::vector<headline> out;
  auto i = topics_.find(topic);
  if (i == topics_.end())
    return out;
  sweep(*i, now);
  for (const auto& [seq, m] : i->second.messages) {
    if (out.size() >= limit)
      break;
    if (m.at == place::queued && (!m.expires || *m.expires > now))
      out.push_back(head_of(m));
  }
  drop_if_empty(i);
  return out;
}

std::vector<headline> partition::dead_letters(const std::string& topic, std::size_t limit,
                                              instant now) {
  expire(now);
  std::vector<headline> out;
  auto i = topics_.find(topic);
  if (i == topics_.end())
    return out;
  sweep(*i, now);
  for (auto seq : i->second.dead) {
    if (out.size() >= limit)
      break;
    out.push_back(head_of(i->second.messages.at(seq)));
  }
  drop_if_empty(i);
  return out;
}

std::size_t partition::redrive(const std::string& topic, std::size_t max, instant now) {
  auto i = topics_.find(topic);
  if (i == topics_.end())
    return 0;
  auto& t = i->second;
  std::size_t n = 0;
  for (; n < max && !t.dead.empty(); ++n) {
    const auto seq = *t.dead.begin();
    t.dead.erase(t.dead.begin());
    --dead_;
    set_expiry(*i, seq, std::nullopt);
    auto& m = t.messages.at(seq);
    m.attempts = 0;
    m.at = place::queued;
    m.when = now;
    note_state(t, seq, m);
    if (join_line(t, m, seq)) // behind what came since: its turn in the old order is over
      t.queued.insert({now, seq});
  }
  return n;
}

topic_stats partition::topic(const std::string& topic, instant now) {
  expire(now);
  topic_stats out;
  auto i = topics_.find(topic);
  if (i == topics_.end())
    return out;
  sweep(*i, now);
  const auto& t = i->second;
  out.in_flight = t.in_flight.size();
  out.dead = t.dead.size();
  out.waiting = t.messages.size() - out.in_flight - out.dead;
  out.bytes = t.bytes;
  out.oldest_ms = t.messages.empty() ? 0 : t.messages.begin()->second.received_at_ms;
  drop_if_empty(i);
  return out;
}

void partition::forget_expired(instant now) {
  forget_sends(now);
  expire(now);
}

partition_stats& partition_stats::operator+=(const partition_stats& o) noexcept {
  messages += o.messages;
  bytes += o.bytes;
  topics += o.topics;
  dead += o.dead;
  remembered += o.remembered;
  sent_total += o.sent_total;
  duplicates_total += o.duplicates_total;
  delivered_total += o.delivered_total;
  redelivered_total += o.redelivered_total;
  acked_total += o.acked_total;
  nacked_total += o.nacked_total;
  returned_total += o.returned_total;
  dead_total += o.dead_total;
  expired_total += o.expired_total;
  dead_expired_total += o.dead_expired_total;
  refused_total += o.refused_total;
  return *this;
}

partition_stats partition::stats() const noexcept {
  auto out = totals_;
  out.messages = messages_;
  out.bytes = bytes_;
  out.topics = topics_.size();
  out.dead = dead_;
  out.remembered = sends_.size();
  return out;
}

std::optional<instant> partition::next_delivery(const std::string& topic) const {
  auto i = topics_.find(topic);
  if (i == topics_.end())
    return std::nullopt;
  const auto& t = i->second;
  std::optional<instant> at;
  if (!t.queued.empty())
    at = t.queued.front().when;
  if (!t.in_flight.empty() && (!at || t.in_flight.front().when < *at))
    at = t.in_flight.front().when;
  return at;
}

} // namespace ron::mailbox
