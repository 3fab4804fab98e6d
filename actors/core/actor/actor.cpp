#include "core/actor/actor.hpp"

#include <algorithm>

namespace ron::core {

std::chrono::microseconds timeout_until(instant deadline, instant now) noexcept {
  using std::chrono::microseconds;
  using namespace std::chrono_literals;
  if (deadline <= now)
    return 1us;
  if (deadline - now >= 1h)
    return 1h;
  return std::max<microseconds>(1us, std::chrono::ceil<microseconds>(deadline - now));
}

instant recent_time(caf::local_actor* self) {
  auto* here = shard::current();
  return here ? here->turn_time() : self->clock().now();
}

void end(const caf::strong_actor_ptr& who, caf::exit_reason why) {
  if (who)
    who->enqueue(nullptr, caf::make_message_id(caf::message_priority::high),
                 caf::make_message(caf::exit_msg{who->address(), why}), nullptr);
}

void configure_actors(caf::actor_system_config& config) {
  config.load<shards>();
  config.add_error_category(caf::atom("ron"), render_error);
}

} // namespace ron::core
