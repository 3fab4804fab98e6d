#pragma once

#include "core/bytes.hpp"
#include "core/ids.hpp"
#include "oap/frame.hpp"
#include "oap/hello.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <variant>
#include <vector>

/// What a session reports. Every `core::bytes` here is a slice of the memory that was read (or of
/// the one block a straddling frame was joined in); keeping it keeps that block alive.
namespace ron::oap {

/// The peer said HELLO; `limits` hold from now on.
struct peer_hello {
  agreement limits;
  std::shared_ptr<const hello> said{};
};

/// Acceptor: the peer opened a stream. Answer it with `send`, `end`, `fail` or `cancel`.
struct opened {
  corr_t corr = 0;
  std::uint16_t app = 0;
  core::tenant tenant{};
  bool objects = false;       ///< the opener's DATA are bytes of one object
  bool reply_objects = false; ///< the answer shall carry one object
  bool half_closed = false;   ///< START had END: no DATA will come
  bool app_e2e = false;       ///< bytes are encrypted end to end: never log or sample them
  core::bytes name{};           ///< valid UTF-8, <= 255 bytes; empty from a peer without x1
  core::bytes cap{};            ///< capability, opaque, <= 4,096 bytes
  core::bytes args{};
};

/// DATA, or the bytes of an END. Say `consumed(corr, 1)` when the frame's bytes are dealt with.
struct data {
  corr_t corr = 0;
  std::uint64_t seq = 0;
  core::bytes bytes{};                  ///< may be empty
  std::uint16_t status = 0;           ///< of a response; 0 = not said
  bool push = false;                  ///< EVENT: not part of the answer's bytes
  bool end = false;                   ///< these were the last; `ended` follows
  bool app_e2e = false;
  std::uint32_t raw_len = 0;          ///< non-zero: `bytes` are zstd of exactly this size
  std::optional<core::cid> obj{};       ///< if this frame carried it
  std::optional<std::uint64_t> total{}; ///< length of the whole object, if this frame carried it
};

/// The peer closed its half.
struct ended {
  corr_t corr = 0;
  std::uint16_t status = 0; ///< of a response; 0 on the opener's half
  bool closed = false;      ///< our half was closed already: the stream is over
};

/// The stream is over by an ERROR, of the peer or (`local`) by a breach of it that we answered or
/// by the end of the connection. Not reported for `fail` and `cancel` of our own.
struct stream_error {
  corr_t corr = 0;
  std::uint16_t status = 0;
  reason why = reason::none;        ///< also numbers that have no enumerator
  bool retry_after = false;
  std::uint32_t retry_after_ms = 0;
  bool cancelled = false;           ///< the opener took it back
  bool local = false;
  std::uint64_t last_seq = 0;
  core::bytes message{};              ///< valid UTF-8
};

/// A `send` that was refused with `would_block` may be tried again now. The line moves on at the
/// next `take_events`, so a stream that does not use its turn loses nothing but the turn.
struct credit {
  corr_t corr = 0;
};

/// The peer opens or accepts no more streams; those above `last_seq` were not accepted and may be
/// repeated on another connection without counting an attempt. Open streams go on.
struct draining {
  std::uint64_t last_seq = 0;
  std::uint32_t retry_after_ms = 0;
};

/// The connection is over; comes once, after the `stream_error` of every open stream.
struct closed {
  reason why = reason::none;        ///< none = a clean end
  std::uint16_t status = 0;
  bool local = false;               ///< we closed it (a breach of the peer, or `close_with`)
  std::uint32_t retry_after_ms = 0;
  core::bytes message{};
};

using event
  = std::variant<peer_hello, opened, data, ended, stream_error, credit, draining, closed>;
using events = std::vector<event>;

} // namespace ron::oap
