#pragma once

#include "core/actor/semaphore_core.hpp"
#include "core/actor/waiter_line.hpp"

namespace ron::core {

struct semaphore_state {
  static constexpr const char* name = "core.semaphore";
  using waiter = caf::typed_response_promise<permit_grant>;

  ~semaphore_state();

  std::shared_ptr<semaphore::core> core;
  std::size_t slot = 0;
  waiter_line<waiter> line{0};
  bool timer_runs = false;
};

/// The semaphore actor of slot `slot`.
semaphore_actor::behavior_type make_semaphore(actor_self<semaphore_actor, semaphore_state> self,
                                              std::shared_ptr<semaphore::core> core,
                                              std::size_t slot);

} // namespace ron::core
