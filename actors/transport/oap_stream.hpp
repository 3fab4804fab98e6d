#pragma once

#include "core/actor/actor.hpp"
#include "transport/oap_outbox.hpp"
#include "transport/oap_service.hpp"

#include <memory>

namespace ron::transport {

class oap_exchange;
struct oap_connection_state;
using oap_connection_self = core::dynamic_self<oap_connection_state>;

/// The actor of one stream of a connection: a slot that is used for one stream after the other
/// (decision "Stream actors"). It turns START into a call, runs the operation, and its answer into
/// frames. The connection hands it what a read brought, and takes what it has said out of its box,
/// in place; only to drain, to stop and the answers of roles are messages. Backpressure: at most
/// `chunks_max` chunks of an answer are in the box.
struct oap_stream_state {
  static constexpr const char* name = "oap.stream";
  static constexpr std::uint32_t chunks_max = 4;

  /// Takes the request back and tells the connection, which ends the stream if it is still open.
  ~oap_stream_state();

  oap_service_ptr service;
  oap_settings_ptr settings;              ///< of its connection
  core::port<oap_connection_self> connection;
  std::shared_ptr<oap_outbox> box;        ///< shared with the connection; outlives both
  link_info peer;
  std::weak_ptr<oap_exchange> current;    ///< its request, owned by who serves it
  bool answered = false;                  ///< the answer is complete
  core::id_source ids;
  core::instant due{};                    ///< when the request's deadlines are to be looked at
  core::instant timer_at{};               ///< when the timer that is set fires; epoch = none is
  std::uint64_t timer = 0;                ///< its generation
};

using oap_stream_self = core::dynamic_self<oap_stream_state>;

/// The stream is handed what happened to it.
void receive(oap_stream_self self, stream_input& in);
/// The stream is handed room to say more.
void receive(oap_stream_self self, stream_room& room);

/// Has the connection look into the box at the end of the turn, unless it is about to. The stream.
void announce(oap_stream_self self);

/// Says one thing to the connection. The stream.
template <class Item>
void emit(oap_stream_self self, Item item) {
  self->state.box->items.emplace_back(std::move(item));
  announce(self);
}

/// The stream has dealt with so many frames that it was given.
void emit_consumed(oap_stream_self self, std::uint32_t frames);

caf::behavior make_oap_stream(oap_stream_self self, oap_service_ptr service,
                              oap_settings_ptr settings,
                              core::port<oap_connection_self> connection,
                              std::shared_ptr<oap_outbox> box, link_info peer);

} // namespace ron::transport
