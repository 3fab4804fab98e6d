#include "core/actor/semaphore_actor.hpp"

#include <algorithm>
#include <chrono>

namespace ron::core {

namespace {

using namespace std::chrono_literals;
using self_type = actor_self<semaphore_actor, semaphore_state>;

// One timer per line at a time, at most this late.
constexpr auto timer_grain = 20ms;

semaphore::core::front& front_of(semaphore_state& st) {
  return st.core->fronts[st.slot];
}

void publish(semaphore_state& st) {
  front_of(st).ticket.store(st.line.front_ticket().value_or(semaphore::core::nobody),
                            std::memory_order_release);
}

permit_grant wrap(permit p) {
  return {std::make_shared<permit>(std::move(p))};
}

caf::error line_is_full(const permit_pool& pool) {
  return caf::make_error(ec::busy,
                         "all " + std::to_string(pool.permits()) + " permits and "
                           + std::to_string(pool.waiters_max()) + " places to wait are taken",
                         semaphore::shed_retry_ms);
}

void run_timer(self_type self) {
  auto& st = self->state;
  auto next = st.line.next_deadline();
  if (!next || std::exchange(st.timer_runs, true))
    return;
  auto pause = timeout_until(*next, self->clock().now());
  self->delayed_send(self, std::min<std::chrono::microseconds>(pause, timer_grain), atom::tick_v);
}

caf::result<permit_grant> acquire(self_type self, instant deadline, work_step step) {
  auto& st = self->state;
  auto& pool = *st.core->pool;
  auto ticket = st.core->next_ticket.fetch_add(1, std::memory_order_relaxed);
  if (st.line.empty()) // published before counted
    front_of(st).ticket.store(ticket, std::memory_order_release);
  permit granted;
  switch (pool.acquire_or_wait(granted, step)) {
    case permit_pool::admission::granted:
      publish(st);
      return wrap(std::move(granted));
    case permit_pool::admission::full:
      publish(st);
      st.core->shed.fetch_add(1, std::memory_order_relaxed);
      return line_is_full(pool);
    case permit_pool::admission::waits:
      break;
  }
  auto promise = self->make_response_promise<permit_grant>();
  st.line.push(ticket, deadline, semaphore_state::waiter{promise});
  run_timer(self);
  return promise;
}

// Serves the line while permits are free, then lets the next line have a look.
void serve(semaphore_state& st) {
  while (!st.line.empty()) {
    auto granted = st.core->pool->grant_waiting();
    if (!granted)
      break;
    auto first = st.line.pop();
    publish(st);
    st.core->waited.fetch_add(1, std::memory_order_relaxed);
    first.deliver(wrap(std::move(granted)));
  }
  st.core->wake_oldest();
}

// Gives up the places of `waiters`, which have left the line already, and tells them why.
void turn_away(semaphore_state& st, std::vector<semaphore_state::waiter> waiters,
               const caf::error& why) {
  for (std::size_t i = 0; i < waiters.size(); ++i)
    st.core->pool->leave();
  publish(st); // withdrawn after they have left
  for (auto& waiter : waiters)
    waiter.deliver(why);
}

} // namespace

semaphore_state::~semaphore_state() {
  if (!core)
    return;
  turn_away(*this, line.take_expired(instant::max()),
            caf::make_error(ec::degraded, std::string{"the semaphore has ended"}));
  front_of(*this).woken.store(false, std::memory_order_release);
  core->wake_oldest();
}

semaphore_actor::behavior_type make_semaphore(self_type self, std::shared_ptr<semaphore::core> core,
                                              std::size_t slot) {
  auto& st = self->state;
  // Whoever has a place has it from the pool, which may give out more than it could at first.
  st.line = waiter_line<semaphore_state::waiter>{
    std::size_t{permit_pool::waiters_most} + permit_pool::further_max};
  st.slot = slot;
  st.core = std::move(core);
  front_of(st).woken.store(false); // a wake may have been sent to the one before
  return {
    [self](atom::acquire, instant deadline, work_step step) {
      return acquire(self, deadline, step);
    },
    [self](atom::wake) {
      auto& state = self->state;
      front_of(state).woken.store(false, std::memory_order_seq_cst); // later wakes count again
      serve(state);
    },
    [self](atom::tick) {
      auto& state = self->state;
      state.timer_runs = false;
      auto late = state.line.take_expired(self->clock().now());
      state.core->timed_out.fetch_add(late.size(), std::memory_order_relaxed);
      turn_away(state, std::move(late),
                caf::make_error(ec::downstream_timeout, std::string{"no permit in time"}));
      run_timer(self);
    },
  };
}

} // namespace ron::core
