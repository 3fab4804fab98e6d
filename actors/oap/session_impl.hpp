#pragma once

#include "oap/reader.hpp"
#include "oap/session.hpp"
#include "oap/start_rate.hpp"
#include "oap/stream.hpp"
#include "oap/unopened.hpp"
#include "oap/writer.hpp"

#include <string>

/// The inside of a session, shared by its three source files and nobody else:
/// session_in.cpp reads, session_out.cpp sends, session.cpp has life cycle and public face.
namespace ron::oap {

struct session::impl {
  impl(oap::role r, session_settings s);

  // -- reading (session_in.cpp) ----------------------------------------------------

  void on_bytes(core::bytes slice, core::instant t);
  void on_eof(bool clean);
  /// Reads all complete frames of `in`; keeps what is left of the last one.
  void read_frames(core::bytes in);
  /// Joins the unfinished frame with bytes that do not continue it in memory.
  void join(core::bytes slice);
  /// Makes room for `n` bytes behind the unfinished frame; `last`: they complete it.
  void carry_room(std::size_t n, bool last);
  void carry(core::byte_view v);
  /// Moves the unfinished frame into memory of our own.
  void carry_tail();
  std::size_t partial_bytes() const noexcept { return tail.size() + joined.filled(); }
  void handle_reject(core::byte_view in, const read_result& r);

  void handle(const frame_view& f, const core::bytes& from);
  void on_hello(const frame_view& f);
  bool direction_ok(const frame_view& f) const noexcept;
  void on_start(const frame_view& f, const core::bytes& from);
  /// Why a START is refused though nothing is wrong with it; none = it is accepted.
  reason start_refusal();
  void accept(const frame_view& f, const start_fields& s, const core::bytes& from);
  void on_data(const frame_view& f, const core::bytes& from);
  void on_rx_end(stream& s, std::uint16_t status);
  void on_ack(const frame_view& f);
  void on_stream_error(const frame_view& f, const core::bytes& from);
  void on_connection_error(const frame_view& f, const core::bytes& from);
  void on_drain(const error_fields& e);
  /// True if no START of `corr` has come.
  bool never_opened(corr_t corr) const {
    return corr > last_corr || unopened.contains(corr);
  }
  /// Credit that an ACK gives.
  void take_ack(stream& s, std::uint64_t up_to, std::uint32_t window);
  /// DATA, END or ERROR on a stream that is over.
  void on_late(const frame_view& f, bool empty_end);
  /// A rejected frame names a stream that is not open.
  void reject_closed(const frame_view& f, reason why);

  // -- sending and credit (session_out.cpp) ------------------------------------------

  core::result<corr_t> open(const open_request& r);
  send_status send(stream& s, const core::bytes& chunk, const send_options& o);
  send_status send_once(stream& s, const core::bytes& chunk, const send_options& o);
  /// Why the next frame of `s` has to wait.
  enum class obstacle : std::uint8_t { none, window, share, output, line };
  obstacle obstacle_of(const stream& s) const noexcept;
  send_status make_wait(stream& s, obstacle o);
  std::uint32_t ask_room(stream& s);
  bool end(stream& s, std::uint16_t status);
  void close_tx(stream& s);
  void write_stream_error(corr_t corr, std::uint16_t app, const core::tenant& tenant, bool ext,
                          reason why, std::uint64_t last_seq, std::string_view message,
                          std::uint32_t retry_after_ms);
  void write_connection_error(reason why, std::uint64_t last_seq, std::string_view message,
                              std::uint32_t retry_after_ms);

  /// Marks what must be acknowledged after a frame of `s` was taken.
  void note_received(stream& s, bool ack_req);
  void note_granted(stream& s);
  /// Writes the ACKs that are due, with the windows of this moment.
  void flush_acks();
  void write_ack(stream& s);
  /// Frames that `s` may hold now: its target, or what the receive budget leaves it.
  std::uint32_t allowed_for(const stream& s) const noexcept;
  /// Gives turns to streams that wait, as many as there is room for.
  void give_turns();
  /// The window or share of `s` may have grown: lets it stand in line if it waits.
  void wake(stream& s);
  /// Keeps `committed` right around a change of `s.rx`.
  template <class F>
  void with_rx(stream& s, F&& change) {
    committed -= s.rx.committed();
    change(s.rx);
    committed += s.rx.committed();
  }

  // -- life cycle (session.cpp) --------------------------------------------------------

  /// Takes `s` out of everything and gives its shares back.
  void forget(stream& s);
  /// Our ERROR ends an open stream; `report`: the owner hears of it.
  void error_out(stream& s, reason why, std::string_view message, std::uint32_t retry_after_ms,
                 bool report);
  void count(reason why, corr_t corr);
  void reject_stream(stream& s, reason why);
  void reject_connection(reason why);
  /// Ends every stream and the connection; nothing is written.
  void finish(reason why, bool local, std::uint16_t status, core::bytes message = {},
              std::uint32_t retry_after_ms = 0);
  void finish_if_drained();
  /// Output that stops the reading.
  std::size_t output_stop() const noexcept;
  void adopt(const agreement& a);

  oap::role role;
  session_settings settings;
  hello ours;
  agreement lim;
  reader_limits rlim;
  writer out;
  events evs;
  oap::counters cnt;

  bool hello_in = false;
  bool we_drain = false;
  bool peer_drains = false;
  bool over = false;

  core::bytes tail;       ///< unfinished frame where it was read
  core::slab joined;      ///< or joined from several reads
  std::uint64_t frame_at = 0;     ///< where the frame that is looked at begins in all input
  std::uint32_t frame_length = 0; ///< what a frame that the reader rejects says of its length
  reject_notes notes;             ///< <= reject_notes_max
  std::size_t want = 0;   ///< bytes that the unfinished frame needs for the next step
  core::instant now{};

  stream_table streams;
  errored_table errs;       ///< ended by an ERROR of ours
  errored_table peer_errs;  ///< ended by one of the peer
  corr_t last_corr = 0;     ///< highest opened or refused
  corr_t last_accepted = 0;
  unopened_corrs unopened;  ///< empty unless streams are independent
  start_rate starts;
  inflight_share tx_share;  ///< ours, not acknowledged
  inflight_share rx_share;  ///< the peer's, not acknowledged by us
  std::uint64_t committed = 0;   ///< sum of G - C
  std::uint64_t budget_frames = 1; ///< receive budget in frames of the agreed size
  std::size_t rx_halves = 0;     ///< open ones
  std::size_t waiting = 0;
  std::uint32_t round = 1;       ///< of turns
  bool ack_all = false;
  stream_list<&stream::all> open_list;
  stream_list<&stream::due> due;
  stream_list<&stream::unacked> unacked;
  stream_list<&stream::line> line;
};

/// A reject's ERROR names the detail and nothing else: it costs the peer that caused it no work
/// of ours.
inline std::string_view reject_text(reason why) noexcept {
  return info(why).name;
}

} // namespace ron::oap
