#pragma once

#include "oap/events.hpp"
#include "oap/session.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

/// What an OAP connection and the actors of its streams hand each other. All of them live on one
/// shard, and it happens in place (core/actor/port.hpp): nothing here is ever in a mailbox.
namespace ron::transport {

/// Connection -> stream: what happened to the stream, in order: what one read brought of it in one
/// piece. Only opened, data, ended and stream_error occur. The stream may take the events apart.
struct stream_input {
  std::span<oap::event> events;
};

/// Connection -> stream: it may say more.
struct stream_room {
  std::uint32_t turn = 0; ///< events that the peer takes: the answer to `want_turn`; 0 = none
};

/// A frame with bytes: a result map or a piece of an object.
struct send_chunk {
  core::bytes data;
  std::optional<core::cid> obj;
  std::optional<std::uint64_t> total;
  bool end = false;
  bool push = false; ///< EVENT
  std::uint16_t status = 200;
};
/// Asks for the peer's credit before there is anything to send.
struct want_turn {};
/// END without bytes.
struct send_end {
  std::uint16_t status = 200;
};
/// ERROR.
struct send_error {
  core::error why;
};
/// The stream's peer broke the protocol in a way that only the stream can see.
struct send_breach {
  oap::reason why = oap::reason::none; ///< of stream scope
};

using stream_item = std::variant<send_chunk, want_turn, send_end, send_error, send_breach>;

/// What one stream has said and its connection has not framed yet. The stream's actor fills it, the
/// connection empties it at the end of the turn. It is used for one stream after the other and
/// keeps its memory, so that saying something allocates nothing. Bounded: at most
/// `oap_stream_state::chunks_max` chunks and what an operation says beside them.
struct oap_outbox {
  oap::corr_t corr = 0;           ///< the stream that speaks; 0 = none
  std::vector<stream_item> items; ///< in order
  std::size_t taken = 0;          ///< so many of `items` are with the session
  std::uint32_t chunks = 0;       ///< in `items`, not taken
  std::uint32_t consumed = 0;     ///< frames the stream has dealt with; in no order with `items`
  bool announced = false;         ///< the connection knows that there is something
  bool wants_room = false;        ///< to be told when `chunks` has become less
  bool gone = false;              ///< the actor has ended; who takes the box is to end the stream

  /// Forgets all that was said: it is of a stream that is over.
  void clear() noexcept {
    items.clear();
    taken = 0;
    chunks = consumed = 0;
    wants_room = false;
  }
};

} // namespace ron::transport
