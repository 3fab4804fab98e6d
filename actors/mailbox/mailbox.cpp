#include "mailbox/mailbox.hpp"

#include "core/ids.hpp"

#include <algorithm>
#include <array>
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
  one.visibility = all.visibility;
  one.dedup_window = all.dedup_window;
  return one;
}

std::size_t owner_of(const mailbox_state& st, const std::string& topic) {
  return st.parts->index_of(topic) % st.replicas->size();
}

partition& partition_of(mailbox_state& st, const std::string& topic) {
  return st.parts->at(st.parts->index_of(topic));
}

void keep_earlier(std::optional<instant>& next, std::optional<instant> other) {
  if (other && (!next || *other < *next))
    next = other;
}

/// Sets the timer unless one fires by `next` already; one that fires too early does no harm.
void arm(mailbox_self self, std::optional<instant> next) {
  auto& st = self->state;
  keep_earlier(next, st.waiters->next_end());
  if (!next || (st.tick_at != instant{} && st.tick_at <= *next))
    return;
  st.tick_at = *next;
  self->delayed_send(self, core::timeout_until(*next, self->clock().now()), atom::tick_v);
}

/// Answers the long polls of one topic as far as there are messages. Returns when the topic can
/// deliver again, if somebody still waits for it.
std::optional<instant> deliver(mailbox_self self, const std::string& topic) {
  auto& st = self->state;
  auto& box = partition_of(st, topic);
  while (auto* first = st.waiters->front(topic)) {
    auto found
      = box.receive(topic, first->what.max, first->what.visibility, self->clock().now());
    if (found.empty())
      return box.next_delivery(topic);
    first->promise.deliver(received{std::move(found)});
    st.waiters->pop(topic);
  }
  return std::nullopt;
}

/// A timer fired: any topic that is waited for may deliver, anybody's patience may have ended.
void pump(mailbox_self self) {
  auto& st = self->state;
  std::optional<instant> next;
  for (const auto& topic : st.waiters->topics())
    keep_earlier(next, deliver(self, topic));
  while (auto late = st.waiters->take_expired(self->clock().now()))
    late->promise.deliver(received{});
  arm(self, next);
}

/// Something changed in `topic` alone.
void pump(mailbox_self self, const std::string& topic) {
  arm(self, deliver(self, topic));
}

/// Serves a request on the shard that holds its topic: here, or by passing it on.
template <class Out, class In, class F>
caf::result<Out> at_owner(mailbox_self self, In& request, F serve) {
  auto& st = self->state;
  const auto owner = owner_of(st, request.topic);
  if (st.replicas->size() == 1 || owner == self->home().index())
    return serve(partition_of(st, request.topic));
  auto there = caf::actor_cast<mailbox_actor>(st.replicas->at(owner));
  if (!there)
    return caf::make_error(core::ec::degraded, "the partition of this topic is restarting");
  return self->delegate(there, std::move(request));
}

} // namespace

mailbox_parts::mailbox_parts(mailbox_limits limits, const core::clock& clock)
  : limits_(limits), clock_(clock) {
  const auto n = std::clamp<std::size_t>(limits.partitions, 1, 1'024);
  partitions_.reserve(n);
  for (std::size_t i = 0; i < n; ++i)
    partitions_.emplace_back(share_of(limits), random_number,
                             [ids = std::make_shared<core::id_source>(), &clock] {
                               return ids->next_ulid(clock.wall_ms()).to_text();
                             });
}

std::size_t mailbox_parts::index_of(std::string_view topic) const noexcept {
  return core::keyed_hash(topic) % partitions_.size();
}

mailbox_replica::behavior_type make_mailbox(mailbox_self self,
                                            std::shared_ptr<mailbox_parts> parts,
                                            std::shared_ptr<core::role_table> replicas) {
  self->state.parts = std::move(parts);
  self->state.replicas = std::move(replicas);
  self->state.waiters.emplace(self->state.parts->limits().waiters_max);
  return {
    [self](outgoing& m) -> caf::result<sent> {
      return at_owner<sent>(self, m, [&](partition& box) -> caf::result<sent> {
        const auto topic = m.topic;
        auto accepted = box.send(std::move(m), self->clock().now(),
                                 self->state.parts->clock().wall_ms());
        if (!accepted)
          return core::to_caf(accepted.error());
        pump(self, topic);
        return std::move(*accepted);
      });
    },
    [self](receive& r) -> caf::result<received> {
      return at_owner<received>(self, r, [&](partition& box) -> caf::result<received> {
        const auto now = self->clock().now();
        auto found = box.receive(r.topic, r.max, r.visibility, now);
        if (!found.empty() || r.wait_until <= now)
          return received{std::move(found)};
        auto promise = self->make_response_promise<received>();
        const auto topic = r.topic;
        const auto until = r.wait_until;
        if (!self->state.waiters->add(topic, until, {std::move(r), promise}))
          promise.deliver(caf::make_error(core::ec::busy, "too many long polls wait", 1'000));
        else
          pump(self, topic);
        return promise;
      });
    },
    [self](look& q) -> caf::result<headlines> {
      return at_owner<headlines>(self, q, [&](partition& box) -> caf::result<headlines> {
        if (q.dead)
          return headlines{box.dead_letters(q.topic, q.limit)};
        return headlines{box.peek(q.topic, q.limit, self->clock().now())};
      });
    },
    [self](settle& s) -> caf::result<settled> {
      return at_owner<settled>(self, s, [&](partition& box) -> caf::result<settled> {
        const auto now = self->clock().now();
        settled out{s.ack ? box.ack(s.topic, s.receipts, now)
                          : box.nack(s.topic, s.receipts, now)};
        pump(self, s.topic); // the next message of a key may be deliverable now
        return out;
      });
    },
    [self](redrive& r) -> caf::result<redriven> {
      return at_owner<redriven>(self, r, [&](partition& box) -> caf::result<redriven> {
        redriven out{box.redrive(r.topic, self->clock().now())};
        pump(self, r.topic);
        return out;
      });
    },
    [self](atom::tick) {
      self->state.tick_at = {};
      pump(self);
    },
  };
}

} // namespace ron::mailbox
