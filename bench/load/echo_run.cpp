#include "load/echo_run.hpp"

#include "core/json.hpp"
#include "core/limits.hpp"
#include "core/memory.hpp"

#include <arpa/inet.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <utility>

namespace ron::load {

const std::string_view echo_usage
  = "         [--mode MODE] [--conns 1] [--streams 1] [--payload 1024] [--rps 0]\n"
    "         [--seconds 1] [--warmup-ms 200] [--verify FILE] [--object CID]\n"
    "Modes: echo       one DATA up, the same down, on --streams streams of each connection;\n"
    "                  --rps 0 sends the next one at once, else requests are due at their\n"
    "                  time and wait for a stream, which counts as latency\n"
    "       stream     streams that each bring --payload bytes: operation source of the echo\n"
    "                  servers, or with --object the object of a node, which has that size\n"
    "       handshake  TLS alone, with any server\n"
    "       hello      connect, HELLO both ways, leave, again\n"
    "       visit      the same with one echo of --payload bytes\n"
    "       idle       --conns connections say HELLO, then are silent\n"
    "One JSON line on stdout: operations, rate, bytes, percentiles in microseconds, CPU seconds.\n";

std::map<std::string, std::string, std::less<>> echo_flags() {
  return {{"mode", "echo"},  {"conns", "1"},       {"streams", "1"},     {"payload", "1024"},
          {"rps", "0"},      {"seconds", "1"},     {"warmup-ms", "200"}, {"verify", ""},
          {"object", ""}};
}

namespace {

workload::kind mode_of(const flags& f) {
  constexpr std::array<std::string_view, 6> names{"echo", "stream", "handshake",
                                                  "idle", "hello",  "visit"};
  for (std::size_t i = 0; i < names.size(); ++i)
    if (f.text("mode") == names[i])
      return static_cast<workload::kind>(i);
  f.refuse("--mode: echo, stream, handshake, idle, hello or visit");
}

/// A run from the first dial to the last answer.
class run {
public:
  run(const flags& f, workload work, const sockaddr_in& to)
    : work_(std::move(work)),
      to_(to),
      conns_(f.number("conns", 1, 100'000)),
      rps_(f.number("rps", 0, 10'000'000)),
      seconds_(f.number("seconds", 1, 3'600)),
      warmup_(f.number("warmup-ms", 0, 60'000)),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    // nop
  }
  ~run() { ::close(epoll_); }
  run(const run&) = delete;
  run& operator=(const run&) = delete;

  int execute() {
    dial_all();
    auto end = now() + warmup_;
    while (now() < end)
      turn(end);
    work_.counting = true;
    if (work_.what == workload::kind::idle)
      std::fprintf(stderr, "%zu connections are up\n", up());
    cpu_ = core::read_process_usage().cpu_seconds;
    began_ = next_ = now();
    end = began_ + std::chrono::seconds{seconds_};
    while (now() < end)
      turn(end);
    print();
    for (auto& c : all_)
      c->leave();
    return work_.errors == 0 ? 0 : 1;
  }

private:
  static core::instant now() { return std::chrono::steady_clock::now(); }

  /// A few at a time, so that neither side's queue overflows.
  void dial_all() {
    constexpr std::size_t at_once = 128;
    const auto patience = now() + std::chrono::seconds{120};
    for (std::size_t i = 0; i < conns_; ++i) {
      all_.push_back(std::make_unique<echo_connection>(work_, epoll_));
      all_.back()->open(to_);
      if (work_.redials())
        continue;
      while ((i + 1 - up() >= at_once || i + 1 == conns_) && up() < i + 1 && now() < patience
             && work_.errors == 0)
        turn(now() + std::chrono::milliseconds{10});
    }
  }

  std::size_t up() {
    while (up_ < all_.size() && all_[up_]->is_up())
      ++up_;
    return up_;
  }

  void turn(core::instant end) {
    if (work_.counting && rps_ > 0)
      make_due();
    auto until = end;
    if (work_.counting && rps_ > 0)
      until = std::min(until, next_);
    const auto left = std::max<std::int64_t>(0, (until - now()).count());
    const timespec wait{left / 1'000'000'000, left % 1'000'000'000};
    std::array<epoll_event, 256> events;
    const int n = ::epoll_pwait2(epoll_, events.data(), events.size(), &wait, nullptr);
    for (int i = 0; i < n; ++i) {
      auto* c = static_cast<echo_connection*>(events[static_cast<std::size_t>(i)].data.ptr);
      if (!c->ready(events[static_cast<std::size_t>(i)].events)
          && work_.redials())
        c->open(to_);
    }
    // Round robin, until as many in a row as there are had no stream to spare.
    for (std::size_t refused = 0; !work_.due.empty() && refused < all_.size(); ++turn_)
      refused = all_[turn_ % all_.size()]->feed() ? 0 : refused + 1;
  }

  void make_due() {
    const auto step = std::chrono::nanoseconds{1'000'000'000 / static_cast<std::int64_t>(rps_)};
    for (const auto t = now(); next_ <= t; next_ += step) {
      if (work_.due.size() >= workload::due_max) {
        work_.failed("the server is slower than --rps");
        continue;
      }
      work_.due.push_back(next_);
    }
  }

  void print() {
    const auto took = std::chrono::duration<double>(now() - began_).count();
    auto us = [&](double q) { return static_cast<double>(work_.times.quantile(q)) / 1e3; };
    const auto operations = static_cast<double>(work_.operations);
    core::json line{{"operations", work_.operations},
                    {"seconds", took},
                    {"per_second", operations / took},
                    {"bytes_in", work_.bytes_in},
                    {"gbit_per_second", static_cast<double>(work_.bytes_in) * 8e-9 / took},
                    {"p50_us", us(0.5)},
                    {"p90_us", us(0.9)},
                    {"p95_us", us(0.95)},
                    {"p99_us", us(0.99)},
                    {"p999_us", us(0.999)},
                    {"p50_sent_us", static_cast<double>(work_.sent_times.quantile(0.5)) / 1e3},
                    {"p99_sent_us", static_cast<double>(work_.sent_times.quantile(0.99)) / 1e3},
                    {"max_us", static_cast<double>(work_.times.max()) / 1e3},
                    {"connections", conns_},
                    {"cipher", work_.cipher},
                    {"group", work_.group},
                    {"resumed", work_.resumed},
                    {"errors", work_.errors},
                    {"cpu_seconds", core::read_process_usage().cpu_seconds - cpu_}};
    if (work_.errors > 0)
      line["last_error"] = work_.last_error;
    std::puts(core::dump_json(line).c_str());
  }

  workload work_;
  sockaddr_in to_;
  std::size_t conns_;
  std::uint64_t rps_;
  std::uint64_t seconds_;
  std::chrono::milliseconds warmup_;
  int epoll_;
  std::vector<std::unique_ptr<echo_connection>> all_;
  std::size_t up_ = 0;
  std::size_t turn_ = 0;
  core::instant began_{};
  core::instant next_{};
  double cpu_ = 0;
};

} // namespace

workload workload_of(const flags& f) {
  workload work;
  work.what = mode_of(f);
  work.streams = f.number("streams", 1, 65'536);
  const bool stream = work.what == workload::kind::stream;
  work.payload = f.number("payload", 1, stream ? 1ull << 40 : core::limits::chunk_bytes);
  work.bytes = core::bytes::copy(std::string(stream ? 0 : work.payload, 'x'));
  work.paced = f.number("rps", 0, 10'000'000) > 0;
  if (!f.text("object").empty())
    work.object_args = core::dump_cbor({{"cid", f.text("object")}});
  if (!f.text("verify").empty()) {
    std::ifstream in{f.text("verify"), std::ios::binary};
    work.expected.assign(std::istreambuf_iterator<char>{in}, {});
    if (work.expected.size() != work.payload)
      f.refuse("--verify: not a file of --payload bytes");
  }
  return work;
}

sockaddr_in target_of(const flags& f, std::string_view name) {
  const auto [host, port] = f.address(name);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  if (::inet_pton(AF_INET, host == "localhost" ? "127.0.0.1" : host.c_str(), &to.sin_addr) != 1)
    f.refuse("--" + std::string{name} + ": an IPv4 address and a port");
  return to;
}

int run_echo(const flags& f, workload work, const sockaddr_in& to) {
  std::signal(SIGPIPE, SIG_IGN);
  core::raise_descriptor_limit();
  return run{f, std::move(work), to}.execute();
}

} // namespace ron::load
