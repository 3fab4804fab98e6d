#pragma once

#include "core/clock.hpp"
#include "load/echo_wire.hpp"
#include "load/latency.hpp"
#include "oap/session.hpp"

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

struct sockaddr_in;

namespace ron::load {

/// What all connections of a run do and what came of it. One thread.
struct workload {
  enum class kind : std::uint8_t {
    echo,      ///< streams stay open; one DATA up, the same bytes down, again
    stream,    ///< streams that each bring `payload` bytes, again
    handshake, ///< TLS alone: connect, shake hands, leave, again
    idle,      ///< HELLO, then silence
    hello,     ///< connect, HELLO both ways, leave, again
    visit,     ///< connect, HELLO, one echo of `payload` bytes, leave, again
  };
  kind what = kind::echo;
  std::size_t streams = 1;
  std::uint64_t payload = 1'024;
  bool paced = false;  ///< requests are due at their time, whoever is ready
  bool resume = false; ///< handshakes with a ticket once there is one
  bool raw = false;    ///< `hello` with a server that sends back what it gets, whatever that is
  wire_maker wire{};   ///< of every connection
  bool alpn = true;    ///< that wire agrees on oap/1
  std::string agent{}; ///< says HELLO
  core::bytes object_args{}; ///< `stream` fetches an object by `o.get` with these; empty: `source`
  core::bytes bytes{};    ///< `payload` of them
  std::string expected{}; ///< what a stream brings, compared byte for byte; empty: not compared
  std::string cipher{};   ///< of the last handshake
  std::string group{};

  std::deque<core::instant> due{}; ///< requests that wait for a stream; bounded by `due_max`
  static constexpr std::size_t due_max = 100'000;

  bool counting = false; ///< after the warm-up
  latency times{};      ///< from when the request was due
  latency sent_times{}; ///< from when it was sent, as generators see it that wait for answers
  std::uint64_t operations = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t errors = 0;
  std::uint64_t resumed = 0;
  std::string last_error{};

  /// Every operation has a connection of its own.
  bool redials() const noexcept {
    return what == kind::handshake || what == kind::hello || what == kind::visit;
  }
  void done(core::instant due_at, core::instant sent, core::instant now) {
    if (!counting)
      return;
    ++operations;
    times.add(static_cast<std::uint64_t>((now - due_at).count()));
    sent_times.add(static_cast<std::uint64_t>((now - sent).count()));
  }
  void failed(std::string why) {
    ++errors;
    last_error = std::move(why);
  }
};

/// One connection of a load program: a non-blocking socket, a wire and OAP/1.
class echo_connection {
public:
  echo_connection(workload& work, int epoll);
  ~echo_connection();
  echo_connection(const echo_connection&) = delete;
  echo_connection& operator=(const echo_connection&) = delete;

  /// Dials. False, and counted, when not even that works.
  bool open(const sockaddr_in& to);
  /// The socket is ready. False: it is over, dial again or let go.
  bool ready(std::uint32_t events);
  /// Gives a waiting request to a stream that is free; false if there is none of either.
  bool feed();
  /// Says goodbye: without it OpenSSL would call the session's ticket bad.
  void leave();
  /// HELLO was read, or the wire is open to a server that has none.
  bool is_up() const noexcept {
    return session_ ? session_->hello_received() : wire_ && wire_->is_open();
  }

private:
  struct slot {
    core::instant due{};
    core::instant sent{};
    std::uint64_t left = 0; ///< bytes of the answer
    bool busy = false;
    bool unsent = false;    ///< waits for credit
    bool result_due = false; ///< the first DATA is the result map of `o.get`, none of the object
  };

  bool receive();
  void shaken();
  bool compare_raw(const core::bytes& slice);
  void take(oap::event& e);
  void take(const oap::data& d);
  void begin(oap::corr_t corr, core::instant due);
  void open_stream();
  void complete(oap::corr_t corr);
  bool flush();
  bool lost(const std::string& why);

  workload& work_;
  int epoll_;
  int fd_ = -1;
  core::instant dialled_{};
  bool over_ = false; ///< what this connection was made for is done
  std::unique_ptr<echo_wire> wire_;
  std::string raw_sent_; ///< what must come back
  std::optional<core::crypto::tls_ticket> ticket_; ///< of the connection before
  std::optional<oap::session> session_;
  std::unordered_map<oap::corr_t, slot> slots_;
  std::vector<oap::corr_t> free_;
  std::vector<core::bytes> plain_;
  std::vector<core::bytes> cipher_; ///< what the kernel did not take yet
  std::size_t sent_ = 0;            ///< of the first of them
  bool wants_write_ = false;
};

} // namespace ron::load
