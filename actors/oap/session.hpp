#pragma once

#include "core/bytes.hpp"
#include "core/clock.hpp"
#include "core/error.hpp"
#include "core/limits.hpp"
#include "oap/counters.hpp"
#include "oap/events.hpp"
#include "oap/frame.hpp"
#include "oap/hello.hpp"
#include "oap/reject_note.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace ron::oap {

/// Which end of the connection we are. Only the dialer opens streams.
enum class role : std::uint8_t { dialer, acceptor };

/// What a session is built with. Values outside their range are clipped to it.
struct session_settings {
  std::uint32_t max_frame = core::limits::oap_frame_bytes_default; ///< 66,560 .. 1 MiB
  std::uint32_t max_streams = core::limits::oap_streams_default;   ///< 64 .. 65,536
  std::uint32_t max_inflight = core::limits::oap_inflight_default; ///< frames, 64 .. 1,024
  std::uint32_t ack_window = core::limits::oap_ack_window_default; ///< frames, 8 .. 1,024
  /// Granted, unconsumed frames x max_frame up to which busy streams get wider windows. The
  /// windows that HELLO promised are honoured beyond it, then shrink with each ACK.
  std::size_t receive_budget = core::limits::oap_receive_budget_default;
  /// `send` refuses DATA while this much is queued for the link.
  std::size_t output_bytes_max = 262'144;
  /// Small frames are gathered into buffers of up to this size; 4 KiB or more.
  std::size_t write_coalesce = core::limits::write_coalesce_bytes;
  bool alpn = true;                 ///< `oap/1` was negotiated below: x1 holds from the first byte
  /// Every stream has an ordered byte stream of its own (QUIC): `on_bytes` gets whole frames, in
  /// order within a stream only. STARTs come in any order, an ACK may overtake one, and frames of
  /// one stream the END of another, so that only their streams' windows bound DATA.
  bool independent_streams = false;
  std::string ua = "ron";
  /// With "zstd" the owner promises to inflate what comes with `data::raw_len`.
  std::vector<std::string> features{"x1"};
  std::vector<std::string> transports{};
  std::string pq{};                   ///< JSON text, opaque; empty = not said
};

/// What `open` sends.
struct open_request {
  std::uint16_t app = 1;            ///< not 0
  core::tenant tenant{};
  core::byte_view cap{};              ///< <= 4,096 bytes
  std::string_view name{};            ///< <= 255 bytes of UTF-8
  core::byte_view args{};
  bool objects = false;             ///< our DATA will be the bytes of one object
  bool reply_objects = false;       ///< the answer shall be one
  bool end = false;                 ///< no DATA will follow
  bool app_e2e = false;
  std::uint32_t window = 0;         ///< frames of the answer to accept at first; 0 = ack_window
  std::uint64_t seq_start = 0;
};

/// What `send` may add to its bytes.
struct send_options {
  const core::cid* obj = nullptr;       ///< needed on the first object bytes of an object half
  std::optional<std::uint64_t> total{};   ///< length of the whole object
  bool push = false;                    ///< EVENT instead of RESP; acceptor only, never with end
  bool end = false;                     ///< the last bytes of this half
  bool ack_req = false;
  bool app_e2e = false;
  std::uint32_t raw_len = 0;            ///< non-zero: the bytes are zstd of this size (<= 8 MiB)
  std::uint16_t status = 200;           ///< of a response, below 400; ignored by the dialer
};

enum class send_status : std::uint8_t {
  sent,
  would_block, ///< keep the chunk; a `credit` event will name the stream
  no_stream,   ///< not open, or our half is closed: nobody wants the chunk
  refused,     ///< a bug of the caller: too long, OBJ missing or changed, push by a dialer ...
};

/// The OAP/1 state of one connection on one reliable ordered byte stream: server and client alike.
/// Pure: bytes and commands in, events and bytes out; no sockets, no clock, no CAF, no hash, no
/// inflation. One thread.
///
/// How an owner drives it, after every call that is not const:
///
///     s.on_bytes(slice, now);                    // or any command
///     while (s.take_events(batch))               // batch is reused, e.g. one per shard
///       for (auto& e : batch) handle(e);         // may call commands
///     if (link is idle) { s.take(out); link.write(out); }
///     if (s.finished()) close the link; else if (s.wants_read()) link.read();
///
/// HELLO is queued by the constructor. `take` can make credit, so look for events after it too.
///
/// Reading: each slice is what one read brought. If a slice continues the previous one in the same
/// block (the link reads on where it stopped), a frame that straddles them is used where it lies;
/// otherwise its bytes are copied into one block that grows as they arrive.
///
/// Memory of a session (`memory_bytes`): at most one partial frame (max_frame); output, where DATA
/// stops at `output_bytes_max` and reading (`wants_read`) at twice that plus one frame plus 128
/// bytes a stream; max_streams streams of about 400 bytes; twice 1,024 remembered corrs of about
/// 60 bytes; the events of one slice. Received frames a consumer holds are bounded by credit:
/// ack_window frames a stream, more only within the receive budget.
class session {
public:
  session(oap::role role, session_settings settings);
  ~session();
  session(session&&) noexcept;
  session& operator=(session&&) noexcept;

  // -- from the link -------------------------------------------------------------

  /// Bytes were read. `now` is used for the limit on STARTs a second alone.
  /// After the end of the connection they are dropped.
  void on_bytes(core::bytes slice, core::instant now);
  /// The peer will send no more. `clean`: FIN or close_notify; false: reset, or TLS cut short.
  /// Inside a frame or with open streams that is `truncated`, else a clean end.
  void on_eof(bool clean);

  // -- to the link ---------------------------------------------------------------

  /// Appends what is to be written, in order. False if there was nothing.
  bool take(std::vector<core::bytes>& out);
  std::size_t pending_bytes() const noexcept;
  /// False while more answers wait for the link than the session wants to hold, and at the end.
  bool wants_read() const noexcept;
  /// True when nothing more will come or go: write what `take` gives, then shut down. After a
  /// connection ERROR of ours read on and discard (at most 1 MiB or 1 s), or the reset eats it.
  bool finished() const noexcept;
  /// Bytes of the unfinished frame that the session holds. A link whose slab has room for the rest
  /// should go on in it.
  std::size_t partial_bytes() const noexcept;
  /// Bytes that complete that frame; 0 if there is none or its length is not known yet. A link that
  /// changes slabs behind the frame and not inside it spares the copy.
  std::size_t missing_bytes() const noexcept;
  /// Memory that the unfinished frame keeps alive: the whole of its block, the link's slab too.
  std::size_t staging_bytes() const noexcept;

  // -- to the owner --------------------------------------------------------------

  /// Swaps `out` (cleared) with what happened. False if nothing did.
  bool take_events(events& out);

  /// Swaps `out` (cleared) with notes on the frames rejected since the last time, at most
  /// `reject_notes_max`. False if there were none.
  bool take_rejects(reject_notes& out);

  // -- streams -------------------------------------------------------------------

  /// Dialer: opens a stream. Errors: draining (either side), busy (as many open as agreed, or the
  /// peer's HELLO is needed first because x1 is not known), body_cap (does not fit into one frame),
  /// bad_request (a field out of range), cancelled (the connection is over).
  core::result<corr_t> open(const open_request& r);

  /// Sends one frame: DATA, or END with bytes (`o.end`). Never queues beyond the credit, so the
  /// caller keeps `chunk` unless the answer is `sent`. At most `chunk_max()` bytes.
  /// To a peer without x1 the only legal answer is one `send` with `end`.
  send_status send(corr_t corr, const core::bytes& chunk, const send_options& o = {});
  /// How many frames `send` would take of this stream now. 0: it waits in line as after
  /// `would_block`, and a `credit` event will name it. 0 too for a stream that is not open.
  std::uint32_t ask_room(corr_t corr);
  /// True if `send` would not block.
  bool can_send(corr_t corr) const noexcept;
  /// The longest chunk that fits into one frame with every optional part.
  std::size_t chunk_max() const noexcept;
  /// Closes our half without bytes; needs no credit. False if it was not open.
  bool end(corr_t corr, std::uint16_t status = 200);

  /// The consumer is done with `n` frames of the stream: the window opens again.
  void consumed(corr_t corr, std::uint32_t n = 1);
  /// Grants no more until `resume`; frames in flight still arrive and are acknowledged.
  void pause(corr_t corr);
  void resume(corr_t corr);

  /// Ends the stream with ERROR. False if it was not open.
  bool fail(corr_t corr, const core::error& why);
  /// Takes the stream back: ERROR 499 cancelled.
  bool cancel(corr_t corr);
  /// The consumer found a breach that only it can see (inflation passed raw_len): counted as a
  /// reject, answered on the stream.
  void breach(corr_t corr, reason why);
  bool is_open(corr_t corr) const noexcept;

  // -- connection ----------------------------------------------------------------

  /// No more streams: later STARTs are refused, open ones finish, then `finished`.
  void drain(std::uint32_t retry_after_ms = 0);
  /// Ends the connection with one ERROR (status by the reason) and all streams with it. A breach
  /// that only the owner can see is counted like one that was found here.
  void close_with(reason why, std::string_view message = {}, std::uint32_t retry_after_ms = 0);

  oap::role role() const noexcept;
  /// What holds now: the floors until the peer's HELLO was read.
  const agreement& limits() const noexcept;
  bool hello_received() const noexcept;
  bool is_draining() const noexcept;
  bool is_closed() const noexcept;
  std::size_t open_streams() const noexcept;
  /// Streams whose `send` waits: for the peer's window, the connection's share or the link.
  std::size_t waiting_streams() const noexcept;
  /// Un-acknowledged frames of ours on this connection.
  std::uint32_t inflight() const noexcept;
  /// Frames that the peer may send or we hold unconsumed, over all streams.
  std::uint64_t committed_frames() const noexcept;
  const oap::counters& counters() const noexcept;
  /// Memory that the session holds itself, the unfinished frame included; without the slabs that
  /// its events and the slices it handed out keep alive.
  std::size_t memory_bytes() const noexcept;
  /// Gives back spare memory; call when the connection has been idle for a while.
  void trim() noexcept;

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace ron::oap
