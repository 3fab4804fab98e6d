#pragma once

#include "core/bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>

namespace ron::transport::quic {

/// The id of a QUIC stream (RFC 9000, 2.1). Those of OAP/1 are bidirectional and the client's:
/// 0, 4, 8, ...
using stream_id = std::int64_t;

/// An application error code as OAP/1 uses it: the number of its reason.
using app_code = std::uint64_t;

/// Ordered byte streams side by side: what the frames of OAP/1 need of a QUIC connection.
class stream_carrier {
public:
  /// Dialer: opens the next stream. Nothing while the peer allows no more.
  virtual std::optional<stream_id> open_stream() = 0;
  /// Queues bytes on a stream. Bytes for a stream that cannot be written any more are dropped.
  virtual void send(stream_id id, core::bytes slice) = 0;
  /// Ends our direction behind what was queued (FIN).
  virtual void finish(stream_id id) = 0;
  /// Ends our direction at once; what was queued is dropped (RESET_STREAM).
  virtual void reset(stream_id id, app_code code) = 0;
  /// Asks the peer to send no more on the stream (STOP_SENDING).
  virtual void stop(stream_id id, app_code code) = 0;
  /// Lets the peer send `n` more bytes on the connection: so many were taken from us.
  virtual void credit(std::size_t n) = 0;

protected:
  ~stream_carrier() = default;
};

/// What happens on the streams of a connection.
class stream_events {
public:
  /// The handshake is complete, on the server's side: whoever speaks is there now, and did not only
  /// repeat what somebody else has said (RFC 8446, 8). On the client's: the server took part.
  virtual void on_open() = 0;
  /// Bytes in order, valid during the call; `fin`: the last ones.
  virtual void on_stream_data(stream_id id, core::byte_view data, bool fin) = 0;
  virtual void on_stream_reset(stream_id id, app_code code) = 0;
  /// The peer wants no more of our direction; it is reset already.
  virtual void on_stream_stopped(stream_id id, app_code code) = 0;
  /// Both directions are over and acknowledged.
  virtual void on_stream_closed(stream_id id) = 0;
  /// `open_stream` may succeed again.
  virtual void on_streams_allowed() = 0;

protected:
  ~stream_events() = default;
};

} // namespace ron::transport::quic
