#pragma once

#include "oap/frame.hpp"
#include "oap/reject.hpp"
#include "transport/quic/stream_carrier.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace ron::transport::quic {

/// Which end of the connection we are.
enum class side : std::uint8_t { client, server };

/// OAP/1 on QUIC streams (OAP1.md, section 9): sorts the frames of one session onto streams, and
/// what comes on the streams into whole frames, so that the session sees one sequence in which
/// only the frames of one stream are in order. Stream 0 carries HELLO, ACK and the connection's
/// ERROR; the frames of corr c are on stream 4 c. A state machine: no socket, no clock. One thread.
///
/// Memory: complete frames that nobody took are bounded by the connection's flow-control window;
/// of an unfinished frame at most four times what has arrived (at least `first_room`) is held, at
/// most `frame_max` a stream. Unfinished frames are paid for by the window until they hold
/// `assembling_max` together; from there on they get credit as they come, or 512 of them could
/// block each other for ever.
///
/// Before the handshake is complete (`run_early`, until `on_open`) only the streams of operations
/// that may be repeated go on, in either direction. What comes on others is kept, within the
/// window, and what goes on others waits.
class frame_lanes final : public stream_events {
public:
  using operation_names = std::shared_ptr<const std::vector<std::string>>;

  static constexpr std::size_t first_room = 16'384;
  static constexpr std::size_t batch_small = 4'096;
  static constexpr std::size_t batch_large = 65'536;
  /// Frames that one `take` gives. Answers to them leave while the next ones are worked on; with
  /// all that has come in one go the two ends would take turns to be idle.
  static constexpr unsigned batch_frames = 16;
  static constexpr std::size_t assembling_max = 512u << 10;
  /// Calls of `age` that make up the time a peer has for the rest of a frame.
  static constexpr unsigned ages = 4;
  /// Bytes a second that unfinished frames grow by, all of them together: who sends less has its
  /// frames' time run out (decision "Deadlines").
  static constexpr std::size_t rate_min = 16'384;

  /// `frame_max`: bytes of the longest frame that we have announced.
  frame_lanes(side s, stream_carrier& carrier, std::uint32_t frame_max);

  /// Until `on_open`, streams of these operations alone go on. Before anything else.
  void run_early(operation_names names);
  /// Streams of the peer that were kept back until then.
  std::uint64_t held_streams() const noexcept { return held_streams_; }

  // -- from the connection -----------------------------------------------------------
  void on_open() override;
  void on_stream_data(stream_id id, core::byte_view data, bool fin) override;
  void on_stream_reset(stream_id id, app_code code) override;
  void on_stream_stopped(stream_id id, app_code code) override;
  void on_stream_closed(stream_id id) override;
  void on_streams_allowed() override;

  // -- to the session ----------------------------------------------------------------
  /// Whole frames wait.
  bool ready() const noexcept { return !ready_.empty() || cut_ < batch_.filled(); }
  /// The next ones, in one slice; empty if there are none. Gives the peer credit for them.
  core::bytes take();
  /// The peer broke the mapping (a frame on a stream where it does not belong, a stream that ends
  /// inside a frame or without END): the connection is to be closed with this.
  oap::reason breach() const noexcept { return breach_; }

  // -- from the session --------------------------------------------------------------
  /// Takes what `oap::session::take` gave: whole frames. Leaves `slices` empty.
  void write(std::vector<core::bytes>& slices);
  /// The reason of the last connection ERROR that was written, drain excepted; none if there was
  /// none. What CONNECTION_CLOSE is to say.
  oap::reason close_reason() const noexcept { return close_reason_; }

  /// The connection is gone: what came can still be taken, what is written is dropped.
  void detach() noexcept;
  /// The peer ended stream 0 and every stream it had open: no more frames will come.
  bool peer_done() const noexcept;

  /// A quarter of `patience`, the time for the rest of a frame, went by. Ends the streams whose
  /// frame has waited for all of it and has grown by less than its share of `rate_min`. Not to be
  /// called while frames wait for `take`: then it is not the peer who is slow. The number ended.
  std::size_t age(std::chrono::milliseconds patience);

  /// Streams that are known here.
  std::size_t size() const noexcept { return lanes_.size(); }
  /// Bytes of frames that are not complete.
  std::size_t unfinished_bytes() const noexcept { return assembling_; }
  /// The same of stream 0, which is not ended by `age`.
  std::size_t unfinished_control() const noexcept;
  /// Streams in the middle of a frame.
  std::size_t unfinished() const noexcept { return unfinished_; }

private:
  struct lane {
    core::slab part{};     ///< the unfinished frame
    std::size_t want = 0;  ///< its length; 0 while not known
    std::size_t grown = 0; ///< bytes that came for it since it was looked at
    unsigned aged = 0;     ///< calls of `age` since then
    std::uint16_t app = 0; ///< of START
    bool started = false;  ///< all of START went by
    bool in_over = false;  ///< the peer's half: END or ERROR went by
    bool out_over = false; ///< ours
    bool in_void = false;  ///< we ended the stream by ERROR: what comes is left over
    bool shut = false;     ///< its time was over: what still comes is nobody's
    bool judged = false;   ///< early: it is known whether it may go on
    bool held = false;     ///< ... and it may not
  };
  /// Bytes of one or more frames of one stream.
  struct outgoing {
    oap::corr_t corr = 0;
    std::uint16_t app = 0;
    core::bytes slice{};
    bool last = false;  ///< the direction ends behind them
    app_code error = 0; ///< not 0: by an ERROR with this reason
  };

  void take_frames(stream_id id, lane& l, core::byte_view& data);
  bool join(stream_id id, lane& l, core::byte_view& data);
  void add_part(lane& l, core::byte_view v);
  bool check(stream_id id, const std::uint8_t* frame);
  bool runs_early(core::byte_view frame) const noexcept;
  void note_in(stream_id id, lane& l, core::byte_view whole);
  std::vector<core::bytes>* waiting_room(stream_id id, const lane& l) noexcept;
  void add_batch(stream_id id, const lane& l, core::byte_view frame);
  void add_own(stream_id id, const lane& l, core::bytes frame);
  void let_in(std::vector<core::bytes>& room);
  void cut_batch();
  void say_error(stream_id id, lane& l, app_code code);
  void pay_early(std::size_t n);
  void repay(std::size_t n);
  void drop_part(lane& l);
  void expire(stream_id id, lane& l);
  void end_with(oap::reason why) noexcept;

  bool ends_direction(const std::uint8_t* frame);
  void put(const outgoing& f);
  bool may_pass(oap::corr_t corr) const;
  void send(stream_id id, lane& l, const outgoing& f);
  void flush_waiting();

  side side_;
  stream_carrier* carrier_;
  const std::uint32_t frame_max_;
  std::unordered_map<stream_id, lane> lanes_; ///< <= streams the connection allows
  core::slab batch_;                          ///< small frames behind each other
  std::size_t cut_ = 0;                       ///< what of it is in `ready_`
  unsigned uncut_ = 0;                        ///< frames behind that
  std::deque<core::bytes> ready_;
  std::vector<core::bytes> before_hello_; ///< of streams, until it comes; <= the window
  operation_names early_;                 ///< null once the handshake is complete
  std::vector<core::bytes> held_;         ///< of streams that must wait for that; <= the window
  std::uint64_t held_streams_ = 0;
  std::deque<outgoing> waiting_;   ///< for a stream; <= what the session lets out unsent
  std::size_t assembling_ = 0;
  std::size_t unfinished_ = 0;
  std::size_t prepaid_ = 0;   ///< credit given before `take`
  oap::corr_t next_corr_ = 0; ///< client: of the next stream to open
  bool hello_in_ = false;
  bool control_over_ = false; ///< the peer ended stream 0
  oap::reason breach_ = oap::reason::none;
  oap::reason close_reason_ = oap::reason::none;
};

} // namespace ron::transport::quic
