#pragma once

#include "core/actor/actor.hpp"
#include "transport/oap_messages.hpp"
#include "transport/oap_service.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ron::transport {

class oap_exchange;

/// The actor of one stream of a connection: a slot that is used for one stream after the other
/// (decision "Stream actors"). It turns START into a call, runs the operation, and its answer into
/// frames. Backpressure: at most `chunks_max` chunks of an answer are with the connection.
struct oap_stream_state {
  static constexpr const char* name = "oap.stream";
  static constexpr std::uint32_t chunks_max = 4;

  ~oap_stream_state();

  oap_service_ptr service;
  caf::actor connection;
  link_info peer;
  oap::corr_t corr = 0;                   ///< the stream that is served; 0 = none
  std::weak_ptr<oap_exchange> current;    ///< its request, owned by who serves it
  stream_output out;                      ///< not handed to the connection yet
  std::uint32_t chunks_out = 0;           ///< with the connection
  bool answered = false;                  ///< the answer is complete
  core::id_source ids;
  core::instant due{};                    ///< when the request's deadlines are to be looked at
  core::instant timer_at{};               ///< when the timer that is set fires; epoch = none is
  std::uint64_t timer = 0;                ///< its generation
};

using oap_stream_self = core::dynamic_self<oap_stream_state>;

/// Hands the connection what `emit` has gathered, in one message.
void flush_output(oap_stream_self self);

/// Queues one item for the connection; all of a turn go in one message at its end. The stream.
template <class Item>
void emit(oap_stream_self self, Item item) {
  self->state.out.items.emplace_back(std::move(item));
  self->defer([self] { flush_output(self); });
}

caf::behavior make_oap_stream(oap_stream_self self, oap_service_ptr service,
                              caf::actor connection, link_info peer);

} // namespace ron::transport
