#pragma once

#include "core/actor/request_timers.hpp"
#include "core/actor/timed_call.hpp"

#include <caf/detail/simple_actor_clock.hpp>

#include <memory>

namespace boost::asio {
class io_context;
} // namespace boost::asio

namespace ron::core {

class shards;

/// The timers of one shard, driven by one steady timer of its io_context: no thread and no lock.
/// Time-outs of requests live in a wheel of ours, everything else in CAF's own book-keeping. The
/// shard's thread only.
class shard_clock final : public caf::detail::simple_actor_clock {
public:
  explicit shard_clock(boost::asio::io_context& io);
  ~shard_clock() override;

  void set_ordinary_timeout(time_point t, caf::abstract_actor* self, caf::atom_value type,
                            std::uint64_t id) override;
  void set_multi_timeout(time_point t, caf::abstract_actor* self, caf::atom_value type,
                         std::uint64_t id) override;
  void set_request_timeout(time_point t, caf::abstract_actor* self, caf::message_id id) override;
  void cancel_request_timeout(caf::abstract_actor* self, caf::message_id id) override;
  void cancel_timeouts(caf::abstract_actor* self) override;
  void schedule_message(time_point t, caf::strong_actor_ptr receiver,
                        caf::mailbox_element_ptr content) override;
  void schedule_message(time_point t, caf::group target, caf::strong_actor_ptr sender,
                        caf::message content) override;
  void cancel_all() override;

  // By id, for an actor that may be gone already.
  void cancel_all_of(caf::actor_id actor);
  void cancel_ordinary_of(caf::actor_id actor, caf::atom_value type);
  void cancel_request_of(caf::actor_id actor, caf::message_id id);

  /// `what` expires at `due`, unless it is forgotten before.
  call_timers::handle time_call(time_point due, std::shared_ptr<timed_call> what);
  void forget_call(call_timers::handle h);

  /// Drops all timers and lets go of the io_context. Last call.
  void detach();

private:
  struct alarm; // keeps Asio out of this header
  void arm();
  void arm(time_point due);
  void ring();
  void expire_calls(time_point now);

  request_timers requests_;
  call_timers calls_;
  std::unique_ptr<alarm> alarm_;
  bool armed_ = false;
  time_point armed_at_{};
};

/// The clock of threads that are no shard: hands everything to shard 0. Any thread.
class foreign_clock final : public caf::actor_clock {
public:
  explicit foreign_clock(shards& all) noexcept : shards_(all) {}

  void set_ordinary_timeout(time_point t, caf::abstract_actor* self, caf::atom_value type,
                            std::uint64_t id) override;
  void set_multi_timeout(time_point t, caf::abstract_actor* self, caf::atom_value type,
                         std::uint64_t id) override;
  void set_request_timeout(time_point t, caf::abstract_actor* self, caf::message_id id) override;
  void cancel_ordinary_timeout(caf::abstract_actor* self, caf::atom_value type) override;
  void cancel_request_timeout(caf::abstract_actor* self, caf::message_id id) override;
  void cancel_timeouts(caf::abstract_actor* self) override;
  void schedule_message(time_point t, caf::strong_actor_ptr receiver,
                        caf::mailbox_element_ptr content) override;
  void schedule_message(time_point t, caf::group target, caf::strong_actor_ptr sender,
                        caf::message content) override;
  void cancel_all() override;

private:
  template <class F>
  void hand_over(F f);

  shards& shards_;
};

} // namespace ron::core
