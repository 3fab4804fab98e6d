#pragma once

#include "core/bytes.hpp"
#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/limits.hpp"
#include "transport/http/head_check.hpp"
#include "transport/http/rate_floor.hpp"
#include "transport/http/request_parser.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

namespace ron::http {

/// Bounds of one connection; keys `http.*`, `transport.idle-timeout`, `omnigate.request-timeout`.
struct connection_limits {
  head_limits head;
  std::chrono::milliseconds header_timeout{5'000}; ///< of a head, and from accept to the first one
  std::chrono::milliseconds idle_timeout = core::limits::idle_timeout; ///< between two requests
  std::chrono::milliseconds answer_timeout = core::limits::request_timeout; ///< to its first byte
  std::uint64_t body_rate_min = 1'024;    ///< bytes/s while we wait for a body; 0 = off
  std::uint64_t answer_rate_min = 16'384; ///< bytes/s of an answer that has begun; 0 = off
  std::chrono::milliseconds rate_window{10'000};
  std::size_t discard_max = 256u << 10;   ///< read and dropped after the last answer
  std::chrono::milliseconds discard_timeout{1'000};
};

/// The life of one HTTP/1.1 connection as a state machine: no socket, no actor, no clock.
///
/// Events go in (`received`, `ended`, `failed`, `written`, `tick`, and what the operation does:
/// `ask_body`, `answer_started`, `answer_finished`), actions come out of `next`. After any call
/// the owner drains `next`, reads if `wants_read`, and calls `tick` at `wake_at`.
///
/// One request is served at a time. While it is, at most one read of the link waits here; further
/// heads wait in the socket. A body is read only when it was asked for. One thread.
class connection_machine {
public:
  /// A body is handed out in pieces of at most this many bytes; small chunks are gathered.
  static constexpr std::size_t piece_max = core::limits::chunk_bytes;

  /// A head is complete and sound. Its views point into `text`.
  struct serve {
    request_head head;
    core::bytes text;
  };
  /// Answer this error to something that never became a request. `answer_started` and
  /// `answer_finished` follow as for any answer.
  struct refuse {
    core::error why;
  };
  /// The interim answer to `Expect: 100-continue`.
  struct send_continue {};
  /// The piece of the body that was asked for; `last` comes once, possibly without bytes.
  struct body {
    core::bytes data;
    bool last = false;
  };
  /// The body that was asked for will not come: malformed or too slow.
  struct body_failed {
    core::error why;
  };
  /// The answer has not begun in time: answer this error now.
  struct expired {
    core::error why;
  };
  /// The caller went away before its answer was complete.
  struct gone {};
  /// Nothing more is written after what was handed over.
  struct shut {};
  /// Close the link; the last action.
  struct close {};
  using action = std::variant<serve, refuse, send_continue, body, body_failed, expired, gone, shut,
                              close>;

  connection_machine(const connection_limits& limits, core::instant now);

  // -- what the link reports -----------------------------------------------------
  void received(core::bytes slice, core::instant now);
  /// The peer sends no more but may still read.
  void ended(core::instant now);
  /// The link is broken.
  void failed();
  /// How far our bytes got: `backlog` bytes are not with the kernel yet, `sent` ever were.
  void written(std::size_t backlog, std::uint64_t sent, core::instant now);
  /// Time has passed.
  void tick(core::instant now);

  // -- what the request says -----------------------------------------------------
  /// When the answer to the request that was just served must begin. `waits`: it is a long poll,
  /// only `deadline` counts and a caller that stops sending is gone.
  void expect_answer(core::instant deadline, bool waits) noexcept;
  /// The operation wants the next piece: one `body` or `body_failed` follows. Not while one is
  /// outstanding; not once the answer has begun.
  void ask_body(core::instant now);
  /// The answer begins. True when the connection ends after it, which the answer's head says.
  bool answer_started(core::instant now);
  /// The same for an answer without end: as long as the kernel takes everything it may be idle for
  /// as long as it likes, and a caller that stops sending is gone.
  bool events_started(core::instant now);
  /// The last byte of the answer was handed to the link.
  void answer_finished(core::instant now);
  /// The answer cannot be completed; the caller must notice.
  void abort();
  /// The node stops: nothing new is served, what runs is completed.
  void drain();

  // -- what to do ------------------------------------------------------------------
  std::optional<action> next();
  bool wants_read() const noexcept;
  /// When to call `tick`; nothing when there is no hurry.
  std::optional<core::instant> wake_at() const noexcept;
  bool closed() const noexcept { return phase_ == phase::closed; }
  /// True when nothing has arrived since the last answer.
  bool idle() const noexcept { return phase_ == phase::idle; }
  /// Bytes that have arrived and wait for their turn.
  std::size_t pending() const noexcept { return pending_.size(); }

private:
  enum class phase : std::uint8_t { idle, head, serving, lingering, closed };

  struct request {
    bool keep_alive = false;
    bool waits = false;
    bool endless = false;         ///< the answer is a stream of events
    bool continue_due = false;    ///< 100 was asked for and not sent
    bool body_done = true;
    bool body_broken = false;
    bool asked = false;           ///< the operation waits for a piece
    bool started = false;         ///< the answer has begun
    bool finished = false;        ///< the answer is with the link
    bool expired = false;
    bool last = false;            ///< the connection ends after this answer
    core::instant deadline = core::instant::max();
    core::instant turn;           ///< since when it is our turn, not the peer's
  };

  void take_head(core::instant now);
  void begin_request(core::bytes text, core::instant now);
  void refuse_head(core::error why);
  void give_body(core::instant now);
  core::result<core::bytes> take_piece();
  void fail_body(core::error why, core::instant now);
  void request_over(core::instant now);
  void tick_serving(core::instant now);
  core::instant answer_due() const noexcept;
  void use(std::size_t n);
  void end_connection();

  connection_limits limits_;
  phase phase_ = phase::idle;
  core::instant since_;           ///< when the phase began
  bool first_ = true;             ///< no request yet
  bool blank_seen_ = false;       ///< the one empty line before a head was dropped
  bool ended_ = false;
  bool draining_ = false;
  core::bytes pending_;
  head_scanner scanner_;
  request_parser parser_;
  request request_;
  rate_floor body_rate_;
  rate_floor answer_rate_;
  std::uint64_t sent_ = 0;
  std::size_t discarded_ = 0;
  std::vector<action> actions_; ///< a handful at most: each call adds three or fewer
};

} // namespace ron::http
