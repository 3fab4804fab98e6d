#pragma once

#include "core/actor_fwd.hpp"
#include "core/bytes.hpp"
#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/ids.hpp"
#include "core/json.hpp"
#include "core/object_reader.hpp"
#include "core/packed_object.hpp"
#include "transport/wire.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace ron::transport {

struct operation;

/// One byte range as asked for, before the object's size is known (RFC 9110, 14.1.2).
/// Exactly one of `first` (with or without `last`) and `suffix` is set; `last` is inclusive.
struct range_request {
  std::optional<std::uint64_t> first;
  std::optional<std::uint64_t> last;
  std::optional<std::uint64_t> suffix;
  bool operator==(const range_request&) const = default;
};

/// What is asked, in the same words whichever wire it came on. Filled by the wire before the
/// operation sees it and constant from then on.
struct call {
  const operation* op = nullptr;   ///< the row of the operation table that matched
  wire via = wire::http;
  std::string peer;                ///< "address:port" of the other end; empty on a UNIX socket
  core::corr_id corr;              ///< the caller's, or minted by HTTP; else empty
  std::string traceparent;         ///< W3C trace context, the same
  core::instant started;           ///< when the head was complete
  core::instant deadline;          ///< absolute, monotonic; min(our cap, what the caller gave)
  core::bytes capability;          ///< binary macaroon; empty = anonymous
  core::json args;                 ///< object: path, query and body (HTTP) or the args map (OAP)
  std::optional<core::packed_object> packed; ///< then `args` is null: see `operation::reads_packed`
  std::optional<range_request> range;
  std::string if_match;            ///< HTTP If-Match or OAP `_if`; empty = not given
  std::string if_none_match;
  std::string if_range;
  std::string last_event_id;       ///< HTTP Last-Event-ID; empty = not given
  std::string idempotency_key;     ///< <= 128 printable bytes; empty = not given
  std::optional<std::uint64_t> body_length; ///< declared length of an object body; never trusted
};

/// A reader of the arguments, in whichever form they came. `c` outlives it.
inline core::object_reader args_of(const call& c) {
  return c.packed ? core::object_reader{*c.packed} : core::object_reader{c.args};
}

/// Who asks, established by the gate from the capability and the wire.
struct principal {
  enum class kind : std::uint8_t { anonymous, capability, local_operator };
  kind is = kind::anonymous;
  core::tenant tenant{};           ///< zero for anonymous and for the operator
  std::string id;                  ///< stable name of the caller for limits and logs; no secret
};

/// A response header that only HTTP carries (Location, ETag, Cache-Control, Allow ...).
struct header {
  std::string name;
  std::string value;
};

/// A complete answer that is one JSON (or CBOR) object, or has no body at all.
struct answer {
  std::uint16_t status = 200;
  core::json result;               ///< null = no body (204, 304)
  core::bytes packed;              ///< instead of `result`, as CBOR: to a call that came `packed`
  std::vector<header> headers;
  std::string content_type;        ///< empty = by Accept; else `text` is sent as it is
  std::string text;                ///< body when `content_type` is set (metrics, pages)
};

/// The head of an answer that carries object bytes. The bytes follow by `exchange::write`.
struct object_head {
  core::cid cid;
  std::uint64_t size = 0;          ///< of the whole object
  std::uint64_t first = 0;         ///< first byte sent
  std::uint64_t length = 0;        ///< number of bytes sent; may be 0
  bool partial = false;            ///< 206 on HTTP
  std::string content_type = "application/octet-stream";
  core::json result;               ///< the OAP result map; {"cid","size"} is added by the wire
};

/// One event of an answer without end.
struct event {
  std::string id;                  ///< a caller that comes back names the last one it saw
  core::json data;                 ///< an object
};

/// A piece of a request body, in order; `last` comes once, possibly without bytes.
struct body_chunk {
  core::bytes data;
  bool last = false;
};

/// One request being served and its answer, independent of the wire. Lives on the shard of the
/// actor that serves it (an HTTP connection or an OAP stream); only that shard may touch it.
///
/// The operation answers exactly once: `reply`, or `fail`, or `begin` + `write`* + `finish`, or
/// `begin_events` + (`want_room` + `push`*)* + `fail`.
/// Letting go of the last reference without an answer fails the request with `ec::internal`.
/// After the caller is gone (`cancelled`) every call is legal and does nothing.
class exchange {
public:
  using body_handler = std::move_only_function<void(core::result<body_chunk>)>;
  using room_handler = std::move_only_function<void()>;
  using events_handler = std::move_only_function<void(std::uint32_t)>;

  virtual ~exchange() = default;

  /// What is asked.
  virtual const call& request() const noexcept = 0;
  /// Who asks; valid once the gate has let the request in.
  virtual const principal& caller() const noexcept = 0;
  /// The actor that serves the request, for `request(...)` to downstream roles.
  virtual core::any_actor* self() noexcept = 0;

  /// Asks for the next piece of the body: exactly one call of `then`, later or at once. One piece
  /// is asked for at a time; the peer is not read faster than that. Errors: `timeout` when the
  /// body is too slow, `cancelled` when the caller is gone, `body_cap` past the operation's cap.
  virtual void read_body(body_handler then) = 0;

  /// Answers with one object or an empty body.
  virtual void reply(answer a) = 0;
  /// Answers with an error; after `begin` it cuts the answer off so that the caller notices.
  virtual void fail(core::error e) = 0;

  /// Starts an answer with object bytes (for HEAD the wire sends the head alone).
  virtual void begin(object_head head) = 0;
  /// Hands over the next bytes. `room` is called when the wire can take more, at once if it can
  /// take them now; the operation writes nothing before that. Not called after a cancel.
  virtual void write(core::bytes chunk, room_handler room) = 0;
  /// The last byte has been written.
  virtual void finish() = 0;

  /// Starts an answer that ends when the caller leaves, the node drains or by `fail`, which is said
  /// as the last event and is no cut. HTTP: `text/event-stream`; OAP: `about` is the result map and
  /// events are EVENT frames. After it `on_cancel` is called also when the node drains.
  virtual void begin_events(core::json about) = 0;
  /// Calls `room` with a number of events, at least 1, once the wire takes events: the transport's
  /// backlog is short (HTTP) or the caller has granted credit (OAP). Nothing is to be pushed
  /// without it. Not called after a cancel.
  virtual void want_room(events_handler room) = 0;
  /// Hands over one event.
  virtual void push(event e) = 0;
  /// Says that nothing has happened: proxies and callers know that the stream is alive.
  virtual void beat() = 0;

  /// True when only the head of an object answer is wanted (HTTP HEAD).
  virtual bool head_only() const noexcept = 0;
  /// True when the caller went away or its deadline passed.
  virtual bool cancelled() const noexcept = 0;
  /// Runs once when the caller goes away before the answer is complete (frees an upload, ...).
  virtual void on_cancel(std::function<void()> f) = 0;
};

using exchange_ptr = std::shared_ptr<exchange>;

} // namespace ron::transport
