#pragma once

#include "core/actor/deadline_wheel.hpp"
#include "core/actor/id_table.hpp"

#include <caf/actor_control_block.hpp>
#include <caf/message_id.hpp>

#include <optional>
#include <vector>

namespace ron::core {

/// The time-outs of the requests that the actors of one shard have in the air. Every request has
/// one and nearly all are taken back by the response, so both must cost little. The shard's
/// thread only.
class request_timers {
public:
  void add(instant due, caf::strong_actor_ptr self, caf::message_id response);
  /// Nothing happens if it is not there.
  void cancel(caf::actor_id actor, caf::message_id response);
  void cancel_all_of(caf::actor_id actor);
  /// Answers each request whose time has come with `sec::request_timeout`.
  void fire(instant now);
  void clear();

  std::size_t size() const noexcept { return wheel_.size(); }
  std::optional<instant> next() const noexcept { return wheel_.next(); }

private:
  struct timer {
    caf::strong_actor_ptr self;
    caf::message_id response;
    std::uint32_t older = 0; ///< neighbours among the same actor's timers
    std::uint32_t newer = 0;
  };
  using wheel_type = deadline_wheel<timer>;
  using handle = wheel_type::handle;
  struct chain {
    handle oldest = wheel_type::none;
    handle newest = wheel_type::none;
  };

  timer take(handle h);

  wheel_type wheel_;
  id_table<chain> by_actor_;
};

} // namespace ron::core
