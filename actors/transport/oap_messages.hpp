#pragma once

#include "oap/events.hpp"
#include "oap/session.hpp"

#include <caf/allowed_unsafe_message_type.hpp>

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

/// What an OAP connection and the actors of its streams say to each other. All of them live on one
/// shard; a message carries everything that one read, or one turn, brought.
namespace ron::transport {

/// Connection -> stream: what happened to the stream, in order. Only opened, data, ended and
/// stream_error occur. `room` is what a `stream_room` would have said.
struct stream_input {
  oap::corr_t corr = 0;
  oap::events events;
  std::uint32_t room = 0;
};

/// Connection -> stream: `chunks` of what the stream gave are with the session now.
struct stream_room {
  oap::corr_t corr = 0;
  std::uint32_t chunks = 0;
  std::uint32_t turn = 0; ///< frames that may be sent: the answer to `want_turn`; 0 = none
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
/// The stream has dealt with frames that it was given.
struct send_consumed {
  std::uint32_t frames = 1;
};

using stream_item
  = std::variant<send_chunk, want_turn, send_end, send_error, send_breach, send_consumed>;

/// Stream -> connection: what to send, in order.
struct stream_output {
  oap::corr_t corr = 0;
  std::vector<stream_item> items;
};

} // namespace ron::transport

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::transport::stream_input)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::transport::stream_room)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::transport::stream_output)
