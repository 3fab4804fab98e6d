#include "core/actor/shard_clock.hpp"

#include "core/actor/shards.hpp"

#include <boost/asio/steady_timer.hpp>
#include <caf/group.hpp>

#include <utility>

namespace ron::core {

// -- shard_clock -----------------------------------------------------------------

struct shard_clock::alarm {
  explicit alarm(boost::asio::io_context& io) : timer(io) {}
  boost::asio::steady_timer timer;
};

shard_clock::shard_clock(boost::asio::io_context& io) : alarm_(std::make_unique<alarm>(io)) {
  // nop
}

shard_clock::~shard_clock() = default;

void shard_clock::set_ordinary_timeout(time_point t, caf::abstract_actor* self,
                                       caf::atom_value type, std::uint64_t id) {
  simple_actor_clock::set_ordinary_timeout(t, self, type, id);
  arm();
}

void shard_clock::set_multi_timeout(time_point t, caf::abstract_actor* self, caf::atom_value type,
                                    std::uint64_t id) {
  simple_actor_clock::set_multi_timeout(t, self, type, id);
  arm();
}

void shard_clock::set_request_timeout(time_point t, caf::abstract_actor* self,
                                      caf::message_id id) {
  requests_.add(t, caf::strong_actor_ptr{self->ctrl()}, id);
  arm(t);
}

void shard_clock::cancel_request_timeout(caf::abstract_actor* self, caf::message_id id) {
  requests_.cancel(self->id(), id);
}

void shard_clock::cancel_timeouts(caf::abstract_actor* self) {
  cancel_all_of(self->id());
}

void shard_clock::schedule_message(time_point t, caf::strong_actor_ptr receiver,
                                   caf::mailbox_element_ptr content) {
  simple_actor_clock::schedule_message(t, std::move(receiver), std::move(content));
  arm();
}

void shard_clock::schedule_message(time_point t, caf::group target, caf::strong_actor_ptr sender,
                                   caf::message content) {
  simple_actor_clock::schedule_message(t, std::move(target), std::move(sender),
                                       std::move(content));
  arm();
}

void shard_clock::cancel_all_of(caf::actor_id actor) {
  handle(timeouts_cancellation{actor});
  requests_.cancel_all_of(actor);
}

void shard_clock::cancel_ordinary_of(caf::actor_id actor, caf::atom_value type) {
  handle(ordinary_timeout_cancellation{actor, type});
}

void shard_clock::cancel_request_of(caf::actor_id actor, caf::message_id id) {
  requests_.cancel(actor, id);
}

void shard_clock::cancel_all() {
  simple_actor_clock::cancel_all();
  requests_.clear();
  std::vector<std::shared_ptr<timed_call>> out; // let go of after the last link is in order
  calls_.each_due(time_point::max(), [&](auto h) { out.push_back(calls_.remove(h)); });
}

call_timers::handle shard_clock::time_call(time_point due, std::shared_ptr<timed_call> what) {
  const auto h = calls_.add(due, std::move(what));
  arm(due);
  return h;
}

void shard_clock::forget_call(call_timers::handle h) {
  (void)calls_.remove(h); // who forgets it holds it
}

void shard_clock::expire_calls(time_point now) {
  std::vector<std::shared_ptr<timed_call>> due;
  calls_.each_due(now, [&](auto h) { due.push_back(calls_.remove(h)); });
  for (const auto& call : due)
    call->expire();
}

void shard_clock::detach() {
  cancel_all();
  alarm_.reset();
}

void shard_clock::arm() {
  if (!schedule().empty())
    arm(schedule().begin()->first);
  if (auto due = requests_.next())
    arm(*due);
  if (auto due = calls_.next())
    arm(*due);
}

// A cancelled time-out leaves the alarm as it is: it then rings once too early, which is cheaper
// than setting it anew with every response.
void shard_clock::arm(time_point due) {
  if (!alarm_ || (armed_ && armed_at_ <= due))
    return;
  armed_ = true;
  armed_at_ = due;
  alarm_->timer.expires_at(due); // cancels the wait before
  alarm_->timer.async_wait([this](boost::system::error_code e) {
    if (!e)
      ring();
  });
}

void shard_clock::ring() {
  armed_ = false;
  trigger_expired_timeouts();
  requests_.fire(now());
  expire_calls(now());
  arm();
}

// -- foreign_clock ---------------------------------------------------------------

template <class F>
void foreign_clock::hand_over(F f) {
  auto& first = shards_.at(0);
  first.post([&first, f = std::move(f)]() mutable { f(first.clock()); });
}

void foreign_clock::set_ordinary_timeout(time_point t, caf::abstract_actor* self,
                                         caf::atom_value type, std::uint64_t id) {
  hand_over([=, keep = caf::strong_actor_ptr{self->ctrl()}](shard_clock& c) {
    c.set_ordinary_timeout(t, keep->get(), type, id);
  });
}

void foreign_clock::set_multi_timeout(time_point t, caf::abstract_actor* self,
                                      caf::atom_value type, std::uint64_t id) {
  hand_over([=, keep = caf::strong_actor_ptr{self->ctrl()}](shard_clock& c) {
    c.set_multi_timeout(t, keep->get(), type, id);
  });
}

void foreign_clock::set_request_timeout(time_point t, caf::abstract_actor* self,
                                        caf::message_id id) {
  hand_over([=, keep = caf::strong_actor_ptr{self->ctrl()}](shard_clock& c) {
    c.set_request_timeout(t, keep->get(), id);
  });
}

// `self` may be on its way out, with no reference left to take: its id is all we keep.

void foreign_clock::cancel_ordinary_timeout(caf::abstract_actor* self, caf::atom_value type) {
  hand_over([type, id = self->id()](shard_clock& c) { c.cancel_ordinary_of(id, type); });
}

void foreign_clock::cancel_request_timeout(caf::abstract_actor* self, caf::message_id mid) {
  hand_over([mid, id = self->id()](shard_clock& c) { c.cancel_request_of(id, mid); });
}

void foreign_clock::cancel_timeouts(caf::abstract_actor* self) {
  hand_over([id = self->id()](shard_clock& c) { c.cancel_all_of(id); });
}

void foreign_clock::schedule_message(time_point t, caf::strong_actor_ptr receiver,
                                     caf::mailbox_element_ptr content) {
  hand_over([t, to = std::move(receiver), content = std::move(content)](shard_clock& c) mutable {
    c.schedule_message(t, std::move(to), std::move(content));
  });
}

void foreign_clock::schedule_message(time_point t, caf::group target, caf::strong_actor_ptr sender,
                                     caf::message content) {
  hand_over([=](shard_clock& c) { c.schedule_message(t, target, sender, content); });
}

void foreign_clock::cancel_all() {
  hand_over([](shard_clock& c) { c.cancel_all(); });
}

} // namespace ron::core
