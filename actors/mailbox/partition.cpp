#include "mailbox/partition.hpp"

#include <algorithm>
#include <charconv>

namespace ron::mailbox {

using core::ec;
using core::fail;
using core::instant;
using core::result;

namespace {

constexpr std::uint64_t message_overhead = 256; ///< bookkeeping counted against the byte budget

std::uint64_t size_of_parts(const core::bytes& payload, const std::string& key,
                            const std::map<std::string, std::string>& attrs) noexcept {
  auto n = message_overhead + payload.size() + key.size();
  for (const auto& [k, v] : attrs)
    n += k.size() + v.size();
  return n;
}

// A receipt is "<sequence>.<nonce>" in hex: the place to look and a number nobody can guess.
std::string make_receipt(std::uint64_t seq, std::uint64_t nonce) {
  char text[40];
  auto r = std::to_chars(text, text + sizeof text, seq, 16);
  *r.ptr++ = '.';
  r = std::to_chars(r.ptr, text + sizeof text, nonce, 16);
  return {text, r.ptr};
}

std::optional<std::pair<std::uint64_t, std::uint64_t>> parse_receipt(std::string_view text) {
  std::uint64_t seq = 0;
  std::uint64_t nonce = 0;
  auto* end = text.data() + text.size();
  auto a = std::from_chars(text.data(), end, seq, 16);
  if (a.ec != std::errc{} || a.ptr == end || *a.ptr != '.')
    return std::nullopt;
  auto b = std::from_chars(a.ptr + 1, end, nonce, 16);
  if (b.ec != std::errc{} || b.ptr != end)
    return std::nullopt;
  return std::pair{seq, nonce};
}

} // namespace

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

partition::partition(partition_limits limits, std::function<std::uint64_t()> random,
                     std::function<std::string()> make_id)
  : limits_(limits), random_(std::move(random)), make_id_(std::move(make_id)) {
  // nop
}

std::uint64_t partition::size_of(const message& m) noexcept {
  return size_of_parts(m.payload, m.key, m.attrs);
}

// -- sending -------------------------------------------------------------------

result<sent> partition::send(outgoing m, instant now, std::int64_t wall_ms) {
  forget_sends(now);
  expire(now);
  std::string slot;
  if (!m.idempotency_key.empty()) {
    slot = m.caller + '\n' + m.topic + '\n' + m.idempotency_key;
    auto replay = replay_of(m, slot);
    if (!replay)
      return std::unexpected{replay.error()};
    if (*replay)
      return **replay;
  }
  const auto size = size_of_parts(m.payload, m.key, m.attrs);
  if (auto room = check_room(m, size); !room)
    return std::unexpected{room.error()};

  auto& topic = *topics_.try_emplace(m.topic).first;
  auto& t = topic.second;
  const auto seq = next_seq_++;
  message stored;
  stored.id = make_id_();
  stored.payload = std::move(m.payload);
  stored.key = std::move(m.key);
  stored.attrs = std::move(m.attrs);
  stored.received_at_ms = wall_ms;
  if (m.ttl)
    stored.expires = now + *m.ttl;
  stored.when = now + m.delay;
  auto id = stored.id;
  const auto visible_from = stored.when;
  const auto key = stored.key;
  if (stored.expires)
    expiring_.emplace(std::pair{*stored.expires, seq}, &topic);
  t.messages.emplace(seq, std::move(stored));
  ++messages_;
  bytes_ += size;
  bool first_of_key = true;
  if (!key.empty()) {
    auto& line = t.keys[key];
    line.push_back(seq);
    first_of_key = line.size() == 1;
  }
  if (first_of_key)
    t.queued.emplace(visible_from, seq);
  if (!slot.empty()) {
    ++dedup_of_caller_[m.caller];
    dedup_expiry_.emplace_back(now + limits_.dedup_window, slot);
    dedup_.emplace(std::move(slot), remembered_send{m.caller, m.body_hash, id});
  }
  return sent{std::move(id), false};
}

result<std::optional<sent>> partition::replay_of(const outgoing& m, const std::string& slot) const {
  if (auto i = dedup_.find(slot); i != dedup_.end()) {
    if (i->second.body_hash != m.body_hash)
      return fail(ec::conflict, "this Idempotency-Key was used with another body");
    return sent{i->second.message_id, true};
  }
  auto mine = dedup_of_caller_.find(m.caller);
  if (dedup_.size() >= limits_.dedup_max
      || (mine != dedup_of_caller_.end() && mine->second >= limits_.dedup_caller_max))
    return fail(ec::quota, "too many idempotency keys are remembered; each is kept for 300 s",
                1'000);
  return std::optional<sent>{};
}

result<void> partition::check_room(const outgoing& m, std::uint64_t size) const {
  if (messages_ >= limits_.messages_max || bytes_ + size > limits_.bytes_max)
    return fail(ec::store_quota, "the mailbox is full; acknowledge or expire messages first");
  if (topics_.size() >= limits_.topics_max && !topics_.contains(m.topic))
    return fail(ec::store_quota, "too many topics hold messages");
  return {};
}

void partition::forget_sends(instant now) {
  while (!dedup_expiry_.empty() && dedup_expiry_.front().first <= now) {
    auto i = dedup_.find(dedup_expiry_.front().second);
    auto mine = dedup_of_caller_.find(i->second.caller);
    if (--mine->second == 0)
      dedup_of_caller_.erase(mine);
    dedup_.erase(i);
    dedup_expiry_.pop_front();
  }
}

// -- delivering ----------------------------------------------------------------

std::vector<delivery> partition::receive(const std::string& topic, std::size_t max,
                                         milliseconds visibility, instant now) {
  expire(now);
  std::vector<delivery> out;
  auto i = topics_.find(topic);
  if (i == topics_.end())
    return out;
  auto& t = i->second;
  sweep(t, now);
  while (out.size() < max && !t.queued.empty() && t.queued.begin()->first <= now) {
    const auto seq = t.queued.begin()->second;
    t.queued.erase(t.queued.begin());
    auto& m = t.messages.at(seq);
    m.at = place::in_flight;
    m.when = now + visibility;
    m.nonce = random_();
    ++m.attempts;
    t.in_flight.emplace(m.when, seq);
    out.push_back({m.id, m.payload, m.attrs, m.key, m.attempts, m.received_at_ms,
                   make_receipt(seq, m.nonce)});
  }
  drop_if_empty(i);
  return out;
}

// Forgets messages of all topics whose time to live is over. One in flight lives until its delivery
// ends.
void partition::expire(instant now) {
  while (!expiring_.empty() && expiring_.begin()->first.first <= now) {
    const auto seq = expiring_.begin()->first.second;
    auto& [name, t] = *expiring_.begin()->second;
    expiring_.erase(expiring_.begin());
    if (t.messages.at(seq).at != place::queued)
      continue;
    erase(t, seq);
    drop_if_empty(topics_.find(name));
  }
}

// Ends deliveries whose time is over.
void partition::sweep(topic_state& t, instant now) {
  while (!t.in_flight.empty() && t.in_flight.begin()->first <= now) {
    const auto seq = t.in_flight.begin()->second;
    t.in_flight.erase(t.in_flight.begin());
    if (t.messages.at(seq).attempts >= limits_.attempts_max)
      bury(t, seq);
    else
      queue(t, seq, now, now);
  }
}

void partition::queue(topic_state& t, std::uint64_t seq, instant visible_from, instant now) {
  auto& m = t.messages.at(seq);
  if (m.expires && *m.expires <= now)
    return erase(t, seq);
  m.at = place::queued;
  m.when = visible_from;
  t.queued.emplace(visible_from, seq);
}

void partition::bury(topic_state& t, std::uint64_t seq) {
  auto& m = t.messages.at(seq);
  m.at = place::dead;
  if (m.expires)
    expiring_.erase({*m.expires, seq});
  m.expires.reset(); // kept for whoever looks into it
  ++dead_total_;
  release_key(t, m, seq);
}

void partition::erase(topic_state& t, std::uint64_t seq) {
  auto i = t.messages.find(seq);
  auto& m = i->second;
  if (m.at == place::queued)
    t.queued.erase({m.when, seq});
  else if (m.at == place::in_flight)
    t.in_flight.erase({m.when, seq});
  if (m.expires)
    expiring_.erase({*m.expires, seq});
  if (m.at != place::dead)
    release_key(t, m, seq);
  bytes_ -= size_of(m);
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
    t.queued.emplace(t.messages.at(next).when, next);
  }
}

void partition::drop_if_empty(topic_map::iterator i) {
  if (i->second.messages.empty())
    topics_.erase(i);
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
  sweep(t->second, now);
  for (std::size_t k = 0; k < receipts.size(); ++k) {
    auto parsed = parse_receipt(receipts[k]);
    auto i = parsed ? t->second.messages.find(parsed->first) : t->second.messages.end();
    if (i == t->second.messages.end())
      continue;
    if (i->second.at != place::in_flight || i->second.nonce != parsed->second) {
      out[k] = receipt_status::expired;
      continue;
    }
    each(t->second, parsed->first);
    out[k] = receipt_status::ok;
  }
  drop_if_empty(t);
  return out;
}

std::vector<receipt_status> partition::ack(const std::string& topic,
                                           const std::vector<std::string>& receipts, instant now) {
  return settle(topic, receipts, now,
                [this](topic_state& t, std::uint64_t seq) { erase(t, seq); });
}

std::vector<receipt_status> partition::nack(const std::string& topic,
                                            const std::vector<std::string>& receipts,
                                            instant now) {
  return settle(topic, receipts, now, [this, now](topic_state& t, std::uint64_t seq) {
    auto& m = t.messages.at(seq);
    t.in_flight.erase({m.when, seq});
    if (m.attempts >= limits_.attempts_max) {
      bury(t, seq);
      return;
    }
    const auto shift = std::min<std::uint32_t>(m.attempts, 16);
    const auto top = std::min(limits_.backoff_max, limits_.backoff_min * (1 << shift));
    const auto span = static_cast<std::uint64_t>((top - limits_.backoff_min).count()) + 1;
    queue(t, seq, now + limits_.backoff_min + milliseconds(random_() % span), now);
  });
}

// -- looking -------------------------------------------------------------------

std::vector<headline> partition::peek(const std::string& topic, std::size_t limit, instant now) {
  expire(now);
  std::vector<headline> out;
  auto i = topics_.find(topic);
  if (i == topics_.end())
    return out;
  sweep(i->second, now);
  for (const auto& [seq, m] : i->second.messages) {
    if (out.size() >= limit)
      break;
    if (m.at == place::queued && (!m.expires || *m.expires > now))
      out.push_back({m.id, m.key, m.attempts, m.payload.size(), m.received_at_ms});
  }
  drop_if_empty(i);
  return out;
}

std::vector<headline> partition::dead_letters(const std::string& topic, std::size_t limit) const {
  std::vector<headline> out;
  auto i = topics_.find(topic);
  if (i == topics_.end())
    return out;
  for (const auto& [seq, m] : i->second.messages) {
    if (out.size() >= limit)
      break;
    if (m.at == place::dead)
      out.push_back({m.id, m.key, m.attempts, m.payload.size(), m.received_at_ms});
  }
  return out;
}

std::size_t partition::redrive(const std::string& topic, instant now) {
  auto i = topics_.find(topic);
  if (i == topics_.end())
    return 0;
  auto& t = i->second;
  std::size_t n = 0;
  for (auto& [seq, m] : t.messages) {
    if (m.at != place::dead)
      continue;
    ++n;
    m.attempts = 0;
    m.at = place::queued;
    m.when = now;
    bool first_of_key = true;
    if (!m.key.empty()) { // behind what came since: its turn in the old order is over
      auto& line = t.keys[m.key];
      line.push_back(seq);
      first_of_key = line.size() == 1;
    }
    if (first_of_key)
      t.queued.emplace(now, seq);
  }
  return n;
}

std::optional<instant> partition::next_delivery(const std::string& topic) const {
  auto i = topics_.find(topic);
  if (i == topics_.end())
    return std::nullopt;
  const auto& t = i->second;
  std::optional<instant> at;
  if (!t.queued.empty())
    at = t.queued.begin()->first;
  if (!t.in_flight.empty() && (!at || t.in_flight.begin()->first < *at))
    at = t.in_flight.begin()->first;
  return at;
}

} // namespace ron::mailbox
