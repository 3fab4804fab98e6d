#include "core/actor/request_timers.hpp"

#include <caf/abstract_actor.hpp>
#include <caf/sec.hpp>

#include <utility>

namespace ron::core {

void request_timers::add(instant due, caf::strong_actor_ptr self, caf::message_id response) {
  auto id = self->id();
  auto* mine = by_actor_.find(id);
  if (!mine)
    mine = &by_actor_.insert(id, chain{});
  auto h = wheel_.add(due, timer{std::move(self), response, mine->newest, wheel_type::none});
  (mine->newest == wheel_type::none ? mine->oldest : wheel_[mine->newest].newer) = h;
  mine->newest = h;
}

// Responses come mostly in the order of the requests: the search begins with the oldest.
void request_timers::cancel(caf::actor_id actor, caf::message_id response) {
  auto* mine = by_actor_.find(actor);
  if (!mine)
    return;
  for (auto h = mine->oldest; h != wheel_type::none; h = wheel_[h].newer)
    if (wheel_[h].response == response) {
      take(h);
      return;
    }
}

void request_timers::cancel_all_of(caf::actor_id actor) {
  std::vector<timer> out; // let go of after the last link is in order
  while (auto* mine = by_actor_.find(actor))
    out.push_back(take(mine->oldest));
}

void request_timers::fire(instant now) {
  std::vector<timer> due;
  wheel_.each_due(now, [&](handle h) { due.push_back(take(h)); });
  for (auto& t : due)
    t.self->get()->eq_impl(t.response, t.self, nullptr, caf::make_error(caf::sec::request_timeout));
}

void request_timers::clear() {
  std::vector<timer> out;
  wheel_.each_due(instant::max(), [&](handle h) { out.push_back(take(h)); });
}

request_timers::timer request_timers::take(handle h) {
  auto t = wheel_.remove(h);
  auto id = t.self->id();
  auto* mine = by_actor_.find(id);
  (t.older == wheel_type::none ? mine->oldest : wheel_[t.older].newer) = t.newer;
  (t.newer == wheel_type::none ? mine->newest : wheel_[t.newer].older) = t.older;
  if (mine->oldest == wheel_type::none)
    by_actor_.erase(id);
  return t;
}

} // namespace ron::core
