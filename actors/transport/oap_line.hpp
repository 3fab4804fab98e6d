#pragma once

#include "core/clock.hpp"
#include "core/limits.hpp"
#include "transport/ending.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace ron::transport {

/// Bounds on the life of one OAP/1 connection; keys `transport.*-timeout`.
struct oap_line_limits {
  std::chrono::milliseconds handshake_timeout{5'000}; ///< from accept to the peer's HELLO
  std::chrono::milliseconds read_timeout{5'000};      ///< for the rest of a frame that has begun
  std::chrono::milliseconds write_timeout{5'000};     ///< to take some of the bytes we have
  /// Bytes a second that a peer takes while we have some for it, over `rate_window`; 0 = off.
  std::uint64_t answer_rate_min = 16'384;
  std::chrono::milliseconds rate_window{10'000};
  /// Where the peer's window opens in steps (QUIC): bytes of a step that are taken into account,
  /// at most. Our clients' steps are a quarter of a window of 1 MiB.
  std::uint64_t step_max = 320u << 10;
  std::chrono::milliseconds idle_timeout = core::limits::idle_timeout; ///< without open streams
  std::chrono::milliseconds discard_timeout{1'000}; ///< of reading on after our last byte
  std::size_t discard_max = 1u << 20;               ///< bytes read and dropped meanwhile
};

/// The life of one OAP/1 connection as a state machine: no socket, no session, no clock. It says
/// when a peer has been too slow and what to do then; frames are the session's business.
///
///     opening -> greeting -> open -> lingering -> over
///
/// opening: TLS shakes hands. greeting: the peer's HELLO is due. lingering: nothing more will be
/// said; what is on its way out goes out, what comes in is dropped, or a reset would eat our last
/// bytes. The owner reports what happens, obeys the `order` that `tick` gives and calls `tick` at
/// `wake_at`. One thread.
class oap_line {
public:
  enum class phase : std::uint8_t { opening, greeting, open, lingering, over };

  /// What `tick` wants done.
  enum class order : std::uint8_t {
    none,
    retire, ///< idle for too long: take the connection back in good order (drain it)
    end,    ///< close the link now; `how` says why
  };

  /// The session as it is now.
  struct view {
    bool hello = false;       ///< the peer's HELLO was read
    std::size_t partial = 0;  ///< bytes of a frame that is not complete
    std::uint64_t frames = 0; ///< read so far
    std::size_t streams = 0;  ///< open
    bool reading = true;      ///< the link was asked for bytes: it is the peer's turn
  };

  oap_line(const oap_line_limits& limits, core::instant now) noexcept;

  // -- what happens --------------------------------------------------------------------
  /// The handshake is done; HELLO is due by the same deadline. `in_steps`: the peer lets us send
  /// in steps, larger ones than it takes; what it took pays, at the least rate, for the time until
  /// the next one.
  void opened(bool in_steps = false) noexcept;
  /// `n` bytes came. While lingering they are to be dropped.
  void received(std::size_t n, core::instant now) noexcept;
  /// The peer will send no more.
  void read_ended() noexcept;
  /// The session may have changed.
  void look(const view& v, core::instant now) noexcept;
  /// How far our bytes got: `backlog` bytes are not with the kernel yet, `sent` ever were.
  void written(std::size_t backlog, std::uint64_t sent, core::instant now) noexcept;
  /// The last byte was handed to the link; the connection is to end as `how`.
  void finish(ending how, core::instant now) noexcept;
  /// Time has passed, or one of the above was reported: what is to be done.
  order tick(core::instant now) noexcept;

  // -- what holds ------------------------------------------------------------------------
  phase state() const noexcept {
    return phase_;
  }
  bool lingering() const noexcept {
    return phase_ == phase::lingering;
  }
  /// How the connection ends, once `tick` said so.
  ending how() const noexcept {
    return how_;
  }
  /// When to call `tick`; nothing when there is no hurry.
  std::optional<core::instant> wake_at() const noexcept;

private:
  order end(ending how) noexcept;
  core::instant greeting_due() const noexcept {
    return began_ + limits_.handshake_timeout;
  }
  std::optional<core::instant> frame_due() const noexcept;
  std::optional<core::instant> write_due() const noexcept;
  std::optional<core::instant> rate_due() const noexcept;
  void look_at_rate(core::instant now) noexcept;
  void pay(std::uint64_t bytes, core::instant now) noexcept;
  std::optional<core::instant> idle_due() const noexcept;
  std::optional<core::instant> linger_due() const noexcept;

  oap_line_limits limits_;
  phase phase_ = phase::opening;
  ending how_ = ending::clean;
  core::instant began_;
  core::instant idle_since_;     ///< last byte, or end of the last stream
  core::instant frame_since_{};  ///< since when the rest of a frame is waited for
  core::instant moved_at_{};     ///< when the peer last took bytes of the backlog
  core::instant linger_since_{}; ///< since when all is said and gone out
  core::instant rate_since_{};   ///< since when `rate_sent_`; there was a backlog all the time
  std::uint64_t rate_sent_ = 0;
  core::instant paid_until_{}; ///< what a peer with steps took is worth as much
  view view_;
  std::size_t backlog_ = 0;
  std::uint64_t sent_ = 0;
  std::size_t discarded_ = 0;
  bool read_ended_ = false;
  bool retiring_ = false;
  bool in_steps_ = false;
  bool slow_ = false; ///< the peer took less than it must
};

} // namespace ron::transport
