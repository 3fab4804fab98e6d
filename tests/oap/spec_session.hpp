#pragma once

#include "oap/spec_reader.hpp"

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

/// The state of one OAP/1 connection as the protocol's text has it, for comparison with the real
/// session. It is told what arrives and what its owner asked for, and says what the owner must hear
/// (`events`), what must be written besides ACKs (`output`) and what counts as a reject. Where the
/// protocol leaves a choice (when to acknowledge, how large a window), it looks at what the real
/// session wrote and says whether that was allowed.
namespace ron::oap::spec {

/// What a HELLO says; the defaults are the floors.
struct hello_values {
  std::uint64_t max_frame = 66'560, max_inflight = 64, max_streams = 64, ack_window = 8;
  bool x1 = false, zstd = false;
  std::string pq{}; ///< JSON text, handed on as it is
};

struct session_settings {
  bool dialer = false;
  bool alpn = true;
  hello_values ours{};
  /// What a body of HELLO says; nothing if it is a bad one.
  std::function<std::optional<hello_values>(const octets&)> parse_hello{};
};

struct half_in { ///< the peer's half: R, last up_to sent, largest and last limit granted
  bool open = false;
  std::uint64_t r = 0, acked = 0, g = 0, window = 0;
  bool objects = false, result_first = false;
  std::optional<octets> object{};
};
struct half_out { ///< our half: S, A, W
  bool open = false;
  std::uint64_t s = 0, a = 0, w = 0;
  bool objects = false, result_first = false;
  std::optional<octets> object{};
};
struct stream {
  std::uint64_t app = 0;
  octets tenant{};
  half_in in{};
  half_out out{};
  bool ack_now = false; ///< ACK_REQ or END was seen
};
struct allowance { ///< after an ERROR of ours: what may still have been in flight
  std::uint64_t frames = 0;
  bool end = true, error = true;
};

struct session {
  explicit session(session_settings s);

  // -- what arrives ------------------------------------------------------------------
  void on_bytes(const octets& in);
  void on_eof();
  /// More than a second passes.
  void a_second_passed() {
    opened_lately = 0;
  }

  // -- what the owner asked for --------------------------------------------------------
  bool may_open() const;
  std::uint64_t open(std::uint64_t app, const octets& tenant, std::uint64_t window,
                     std::uint64_t seq_start, bool objects, bool reply_objects, bool end,
                     const std::string& name);
  struct chunk {
    std::size_t size = 0;
    std::optional<octets> obj{};
    bool push = false, end = false, ack_req = false;
    std::uint64_t raw_len = 0, status = 200;
  };
  enum class may { send, wait, refuse, no_stream };
  may may_send(std::uint64_t corr, const chunk& c) const;
  void send(std::uint64_t corr, const chunk& c);
  bool end(std::uint64_t corr, std::uint64_t status);
  bool fail(std::uint64_t corr, std::uint64_t reason);
  void breach(std::uint64_t corr, std::uint64_t reason);
  void drain();
  void close_with(std::uint64_t reason);

  // -- what the real one did -------------------------------------------------------------
  /// Every frame that was written, in order. "" or what is wrong with it.
  std::string on_written(const frame& f);
  /// After all output was taken: what should have been written by now. "" or what is missing.
  std::string after_flush() const;

  std::vector<std::string> events{};
  std::deque<std::string> output{};
  std::map<std::string, std::uint64_t> rejects{};
  std::map<std::uint64_t, std::uint64_t> reasons{}; ///< the same by fine detail
  std::map<std::uint64_t, stream> streams{};
  std::uint64_t last_corr = 0;
  hello_values lim{};
  bool hello_in = false, over = false, we_drain = false, peer_drains = false;
  std::uint64_t unacked_in() const;
  std::uint64_t unacked_out() const;
  bool x1() const {
    return lim.x1;
  }
  /// The stream that our last ERROR ended, 0 if there was none.
  std::uint64_t last_ended() const {
    return ours_order.empty() ? 0 : ours_order.back();
  }

private:
  void on_frame(const frame& f);
  void on_hello(const frame& f);
  void on_start(const frame& f);
  void on_data(const frame& f);
  void on_ack(const frame& f);
  void on_stream_error(const frame& f);
  void on_connection_error(const frame& f);
  void count(std::uint64_t reason);
  void reject_connection(std::uint64_t reason);
  void reject_stream(std::uint64_t corr, std::uint64_t reason);
  void reject_closed(const frame& f, std::uint64_t reason);
  void finish(std::uint64_t reason, bool local, std::uint64_t status);
  void drop(std::uint64_t corr) {
    streams.erase(corr);
  }
  void end_if_drained();
  void remember_ours(std::uint64_t corr, allowance a);
  void remember_peers(std::uint64_t corr);
  void write_error(std::uint64_t corr, std::uint64_t app, std::uint64_t status,
                   std::uint64_t reason, std::uint64_t last_seq, bool x);
  void write_data(const char* kind, std::uint64_t corr, std::uint64_t flags, std::uint64_t seq,
                  std::size_t size);
  std::uint64_t most_streams() const;

  session_settings set;
  octets rest{};
  std::uint64_t last_accepted = 0, opened_lately = 0;
  std::map<std::uint64_t, allowance> ours_ended{};
  std::deque<std::uint64_t> ours_order{};
  std::map<std::uint64_t, bool> peer_ended{};
  std::deque<std::uint64_t> peer_order{};
};

/// One line for a frame of the real output that is not an ACK, in the form of `session::output`.
std::string line_of(const frame& f);

} // namespace ron::oap::spec
