// Load on an OAP/1 server over QUIC: one thread, many connections, JSON with percentiles.

#include "core/json.hpp"
#include "core/memory.hpp"
#include "load/flags.hpp"
#include "load/latency.hpp"
#include "oap/session.hpp"
#include "transport/quic/client.hpp"
#include "transport/unique_fd.hpp"

#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace {

using namespace ron;
namespace quic = transport::quic;
using core::instant;

constexpr std::string_view usage =
  "usage: quic_echo_client --target HOST:PORT (--pin SHA256 | --ca FILE) [--mode MODE]\n"
  "         [--conns 1] [--streams 1] [--payload 1024] [--seconds 1] [--warmup-ms 200]\n"
  "         [--congestion bbr|cubic] [--datagram 8952] [--resume 0|1] [--key-bytes 0]\n"
  "Modes: echo     one DATA up, the same down, on --streams open streams of each connection\n"
  "       request  a stream for each request; the answer has --payload bytes (`source`)\n"
  "       idle     --conns connections say HELLO, then are silent for --seconds\n"
  "       handshake  one connection after the other; --resume 1 shows ticket and token of the "
  "last\n"
  "One JSON line on stdout: operations, rate, bytes, percentiles in microseconds, CPU seconds,\n"
  "how evenly the streams of `echo` were served (Jain's index), how many handshakes were resumed.\n"
  "  quic_echo_client --target 127.0.0.1:8443 --pin $PIN --streams 64 --payload 1024\n"
  "  quic_echo_client --target 127.0.0.1:8443 --pin $PIN --mode request --payload 16777216\n"
  "  quic_echo_client --target 127.0.0.1:8443 --pin $PIN --mode handshake --resume 1\n";

enum class mode : std::uint8_t { echo, request, idle, handshake };

instant now() {
  return std::chrono::steady_clock::now();
}

/// What all connections of a run do and what came of it.
struct workload {
  mode what = mode::echo;
  std::size_t streams = 1;
  std::uint64_t payload = 1'024;
  core::bytes bytes{};
  core::bytes args{};
  bool counting = false;
  load::latency times{};
  std::uint64_t operations = 0;
  std::uint64_t bytes_in = 0;
};

/// One connection and its streams.
class echo_connection {
public:
  echo_connection(workload& work, std::unique_ptr<quic::client> c)
      : work_(work), client_(std::move(c)), session_(oap::role::dialer, settings()) {
    // nop
  }

  quic::client& wire() { return *client_; }
  bool is_up() const { return session_.hello_received(); }
  bool is_over() const { return !client_->is_open() || session_.is_closed(); }
  const std::map<oap::corr_t, std::uint64_t>& served() const { return served_; }
  void forget_served() { served_.clear(); }

  void begin() {
    for (std::size_t i = 0; i < work_.streams && work_.what != mode::idle; ++i)
      open();
    flush();
  }

  /// Takes what came and goes on.
  void go() {
    while (client_->lanes().ready())
      session_.on_bytes(client_->lanes().take(), now());
    while (session_.take_events(events_))
      for (auto& e : events_)
        take(e);
    flush();
  }

private:
  struct slot {
    instant began{};
    std::uint64_t left = 0;
    bool unsent = false;
  };

  static oap::session_settings settings() {
    oap::session_settings s;
    s.independent_streams = true;
    s.max_streams = 65'536;
    s.ack_window = 32;
    return s;
  }

  void open() {
    oap::open_request r;
    r.name = work_.what == mode::echo ? "echo" : "source";
    r.end = work_.what == mode::request;
    if (work_.what == mode::request)
      r.args = work_.args.view();
    const auto corr = session_.open(r);
    if (!corr) {
      ++missing_; // the node's limit on streams a second, or our own backlog
      return;
    }
    auto& s = slots_[*corr];
    s.began = now();
    s.left = work_.payload;
    if (work_.what == mode::echo)
      send(*corr, s);
  }

  void send(oap::corr_t corr, slot& s) {
    s.unsent = session_.send(corr, work_.bytes) == oap::send_status::would_block;
  }

  void take(oap::event& e) {
    if (auto* d = std::get_if<oap::data>(&e)) {
      session_.consumed(d->corr);
      auto i = slots_.find(d->corr);
      if (i == slots_.end())
        return;
      if (work_.counting)
        work_.bytes_in += d->bytes.size();
      auto& s = i->second;
      s.left -= std::min<std::uint64_t>(s.left, d->bytes.size());
      if (work_.what == mode::echo && s.left == 0) {
        done(s);
        if (work_.counting)
          ++served_[d->corr];
        s.began = now();
        s.left = work_.payload;
        send(d->corr, s);
      }
    } else if (auto* over = std::get_if<oap::ended>(&e)) {
      if (auto i = slots_.find(over->corr); i != slots_.end()) {
        done(i->second);
        slots_.erase(i);
        open();
      }
    } else if (auto* more = std::get_if<oap::credit>(&e)) {
      if (auto i = slots_.find(more->corr); i != slots_.end() && i->second.unsent)
        send(more->corr, i->second);
    } else if (auto* bad = std::get_if<oap::stream_error>(&e)) {
      if (slots_.erase(bad->corr) != 0)
        ++missing_;
    }
  }

  void done(const slot& s) {
    if (!work_.counting)
      return;
    ++work_.operations;
    work_.times.add(static_cast<std::uint64_t>((now() - s.began).count()));
  }

  /// Streams that could not be opened when it was their time.
  void open_missing() {
    for (auto n = std::exchange(missing_, 0); n != 0; --n) {
      open();
      if (missing_ != 0) { // not now either
        missing_ = n;
        return;
      }
    }
  }

  void flush() {
    open_missing();
    while (session_.take(out_)) {
      client_->lanes().write(out_);
      while (session_.take_events(events_)) // there is room again: streams that waited go first
        for (auto& e : events_)
          take(e);
      open_missing();
    }
    client_->flush();
  }

  workload& work_;
  std::unique_ptr<quic::client> client_;
  oap::session session_;
  oap::events events_;
  std::vector<core::bytes> out_;
  std::unordered_map<oap::corr_t, slot> slots_;
  std::map<oap::corr_t, std::uint64_t> served_;
  std::size_t missing_ = 0; ///< streams that could not be opened
};

/// A run from the first dial to the last answer.
class run {
public:
  explicit run(const load::flags& f) : flags_(f) {
    const auto& what = f.text("mode");
    if (what != "echo" && what != "request" && what != "idle" && what != "handshake")
      f.refuse("--mode: echo, request, idle or handshake");
    work_.what = what == "echo"      ? mode::echo
                 : what == "idle"    ? mode::idle
                 : what == "request" ? mode::request
                                     : mode::handshake;
    work_.streams = f.number("streams", 1, 65'536);
    const bool echo = work_.what == mode::echo;
    work_.payload = f.number("payload", 1, echo ? core::limits::chunk_bytes : 1ull << 40);
    work_.bytes = core::bytes::copy(std::string(echo ? work_.payload : 0, 'x'));
    work_.args = core::dump_cbor({{"bytes", work_.payload}});
  }

  int execute() {
    if (work_.what == mode::handshake)
      return shake_hands();
    if (!dial())
      return 1;
    std::fprintf(stderr, "%zu connections are up\n", all_.size());
    for (auto& c : all_)
      c->begin();
    const auto warm = now() + std::chrono::milliseconds{flags_.number("warmup-ms", 0, 60'000)};
    turn_until(warm);
    for (auto& c : all_)
      c->forget_served();
    work_.counting = true;
    cpu_ = core::read_process_usage().cpu_seconds;
    began_ = now();
    turn_until(began_ + std::chrono::seconds{flags_.number("seconds", 1, 3'600)});
    print();
    return std::ranges::any_of(all_, [](const auto& c) { return c->is_over(); }) ? 1 : 0;
  }

private:
  core::crypto::tls_context context() const {
    core::crypto::tls_client_options o;
    o.pin = flags_.text("pin");
    o.ca_file = flags_.text("ca");
    o.alpn = {"oap/1"};
    auto made = core::crypto::tls_context::make_client(o);
    if (!made)
      flags_.refuse(made.error().message);
    return *made;
  }

  quic::connection_settings settings() const {
    quic::connection_settings s;
    s.bbr = flags_.text("congestion") == "bbr";
    s.payload_max = flags_.number("datagram", 1'201, 65'527);
    s.key_bytes = flags_.number("key-bytes", 0, 1ull << 40);
    return s;
  }

  std::unique_ptr<quic::client> dial_one(const core::crypto::tls_context& context,
                                         const quic::resumption& from = {}) const {
    const auto [host, port] = flags_.address("target");
    auto c =
      quic::client::dial(settings(), context, host, port, core::limits::oap_frame_bytes_default,
                         now() + std::chrono::seconds{5}, from);
    if (c)
      return std::move(*c);
    std::fprintf(stderr, "%s\n", c.error().message.c_str());
    return nullptr;
  }

  bool dial() {
    const auto tls = context();
    const auto conns = flags_.number("conns", 1, 100'000);
    for (std::size_t i = 0; i < conns; ++i) {
      auto c = dial_one(tls);
      if (!c)
        return false;
      auto& one = *all_.emplace_back(std::make_unique<echo_connection>(work_, std::move(c)));
      const auto patience = now() + std::chrono::seconds{5};
      for (one.go(); !one.is_up(); one.go())
        if (!one.wire().turn(patience))
          return false;
      if (!watch(i))
        return false;
      attend(now()); // a peer that nobody answers repeats itself
    }
    return true;
  }

  /// Handshakes until the time is over; the time of each is from the first datagram to `open`.
  int shake_hands() {
    const auto tls = context();
    const bool resume = flags_.text("resume") == "1";
    quic::resumption kept;
    work_.counting = true;
    cpu_ = core::read_process_usage().cpu_seconds;
    began_ = now();
    const auto end = began_ + std::chrono::seconds{flags_.number("seconds", 1, 3'600)};
    while (now() < end) {
      const auto start = now();
      auto c = dial_one(tls, std::exchange(kept, {}));
      if (!c)
        return 1;
      ++work_.operations;
      work_.times.add(static_cast<std::uint64_t>((now() - start).count()));
      resumed_ += c->link().tls().resumed ? 1 : 0;
      while (resume && !kept.ticket && c->turn(start + std::chrono::seconds{5})) {
        auto got = c->link().take_resumption(); // it comes behind the handshake
        kept.ticket = std::move(got.ticket);
        if (!got.token.empty())
          kept.token = std::move(got.token);
      }
    }
    print();
    return 0;
  }

  bool watch(std::size_t index) {
    epoll_event e{.events = EPOLLIN, .data = {.u64 = index}};
    place_of_.push_back(due_.end());
    place(index);
    return ::epoll_ctl(poller_.get(), EPOLL_CTL_ADD, all_[index]->wire().fd(), &e) == 0;
  }

  /// Remembers when the connection wants to hear of the time.
  void place(std::size_t index) {
    auto& place = place_of_[index];
    const auto wake = all_[index]->wire().link().wake_at();
    if (place != due_.end() && wake && place->first == *wake)
      return;
    if (place != due_.end())
      due_.erase(place);
    place = wake ? due_.emplace(*wake, index) : due_.end();
  }

  /// Waits, at most until `end`, for something to happen to the connections, and deals with it.
  void attend(instant end) {
    constexpr int events_max = 64;
    std::array<epoll_event, events_max> events;
    const auto wake = due_.empty() ? end : std::min(end, due_.begin()->first);
    const auto left = std::max<std::int64_t>(0, (wake - now()).count());
    const timespec wait{left / 1'000'000'000, left % 1'000'000'000};
    const int n = ::epoll_pwait2(poller_.get(), events.data(), events_max, &wait, nullptr);
    for (int i = 0; i < n; ++i) {
      const auto index = static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.u64);
      all_[index]->wire().poll();
      all_[index]->go();
      place(index);
    }
    for (const auto t = now(); !due_.empty() && due_.begin()->first <= t;) {
      const auto index = due_.begin()->second;
      all_[index]->wire().link().on_timer(t);
      all_[index]->go();
      place(index);
      if (place_of_[index] == due_.begin() && due_.begin()->first <= t)
        break; // it wants to go on at once; others come first
    }
  }

  void turn_until(instant end) {
    while (now() < end)
      attend(end);
  }

  /// Jain's index of the operations of the streams of the first connection.
  double fairness() const {
    if (all_.empty())
      return 0;
    double sum = 0;
    double squares = 0;
    for (const auto& [corr, n] : all_.front()->served()) {
      sum += static_cast<double>(n);
      squares += static_cast<double>(n) * static_cast<double>(n);
    }
    const auto count = static_cast<double>(work_.streams);
    return squares == 0 ? 0 : sum * sum / (count * squares);
  }

  void print() const {
    const auto took = std::chrono::duration<double>(now() - began_).count();
    const auto us = [&](double q) { return static_cast<double>(work_.times.quantile(q)) / 1e3; };
    const auto path =
      all_.empty() ? quic::connection::figures{} : all_.front()->wire().link().measure();
    std::puts(
      core::dump_json({{"operations", work_.operations},
                       {"seconds", took},
                       {"per_second", static_cast<double>(work_.operations) / took},
                       {"bytes_in", work_.bytes_in},
                       {"gbit_per_second", static_cast<double>(work_.bytes_in) * 8e-9 / took},
                       {"p50_us", us(0.5)},
                       {"p95_us", us(0.95)},
                       {"p99_us", us(0.99)},
                       {"max_us", static_cast<double>(work_.times.max()) / 1e3},
                       {"fairness", fairness()},
                       {"connections", all_.size()},
                       {"resumed", resumed_},
                       {"rtt_us", path.smoothed_rtt.count() / 1'000},
                       {"congestion_window", path.window},
                       {"packets_lost", path.packets_lost},
                       {"key_updates", path.key_updates},
                       {"cpu_seconds", core::read_process_usage().cpu_seconds - cpu_}})
        .c_str());
  }

  const load::flags& flags_;
  workload work_;
  std::vector<std::unique_ptr<echo_connection>> all_;
  transport::unique_fd poller_{::epoll_create1(EPOLL_CLOEXEC)};
  std::multimap<instant, std::size_t> due_; ///< when connections want to hear of the time
  std::vector<std::multimap<instant, std::size_t>::iterator> place_of_;
  instant began_{};
  double cpu_ = 0;
  std::uint64_t resumed_ = 0;
};

} // namespace

int main(int argc, char** argv) {
  const load::flags f{argc,
                      argv,
                      {{"target", "127.0.0.1:8443"},
                       {"pin", ""},
                       {"ca", ""},
                       {"mode", "echo"},
                       {"conns", "1"},
                       {"streams", "1"},
                       {"payload", "1024"},
                       {"seconds", "1"},
                       {"warmup-ms", "200"},
                       {"congestion", "bbr"},
                       {"datagram", "8952"},
                       {"resume", "0"},
                       {"key-bytes", "0"}},
                      usage};
  return run{f}.execute();
}
