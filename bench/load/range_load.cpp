// Asks a server for byte ranges of one resource over HTTPS, on many connections and one thread, and
// compares every byte of every answer with the source. One JSON line on stdout; exit 1 when any
// answer was not as it must be. Ends by itself. `range_load --help` shows the options.
#include "load/histogram.hpp"
#include "load/range_client.hpp"

#include "core/crypto/tls_context.hpp"

#include <fcntl.h>
#include <getopt.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace ron;
using bench::byte_range;
using steady = std::chrono::steady_clock;

constexpr const char* usage = R"(range_load: byte ranges over HTTPS, every byte checked

  range_load --port 8443 --pin HEX --path /v1/o/b3:... --source FILE

  --port N           on 127.0.0.1
  --pin HEX          SHA-256 of the server's certificate (DER)
  --path TEXT        of the resource; --host TEXT for the Host field (localhost)
  --source FILE      what the resource must consist of
  --length BYTES     of a range (65536)
  --align BYTES      ranges begin at multiples of it (65536); 1: anywhere
  --within BYTES     only ranges in the first BYTES of the resource (all of it)
  --connections N    each has one request under way (16)
  --seconds S        (1)
  --rate N           open loop: N requests a second whatever the server does; latencies count from
                     the moment a request was due. Default: the next when the last was answered
  --once             every aligned range once, in random order, instead of random ones for S seconds
  --warm             every aligned range once before the measurement
  --seed N           of the order of the ranges (1)
)";

struct options {
  std::uint16_t port = 0;
  std::string pin;
  std::string path;
  std::string host = "localhost";
  std::string source;
  std::uint64_t length = 65'536;
  std::uint64_t align = 65'536;
  std::uint64_t within = 0;
  std::uint64_t connections = 16;
  double seconds = 1;
  double rate = 0;
  bool once = false;
  bool warm = false;
  std::uint64_t seed = 1;
};

std::uint64_t number(const char* text, std::uint64_t lo, std::uint64_t hi) {
  std::uint64_t v = 0;
  const std::string_view s{text};
  auto [end, err] = std::from_chars(s.data(), s.data() + s.size(), v);
  if (err != std::errc{} || end != s.data() + s.size() || v < lo || v > hi)
    throw std::invalid_argument("not a number of " + std::to_string(lo) + ".." + std::to_string(hi)
                                + ": " + text);
  return v;
}

options parse(int argc, char** argv) {
  enum : int { port, pin, path, host, source, length, align, within, connections, seconds, rate,
               once, warm, seed, help };
  static constexpr std::array<option, 16> known{{
    {"port", 1, nullptr, port}, {"pin", 1, nullptr, pin}, {"path", 1, nullptr, path},
    {"host", 1, nullptr, host}, {"source", 1, nullptr, source}, {"length", 1, nullptr, length},
    {"align", 1, nullptr, align}, {"within", 1, nullptr, within},
    {"connections", 1, nullptr, connections}, {"seconds", 1, nullptr, seconds},
    {"rate", 1, nullptr, rate}, {"once", 0, nullptr, once}, {"warm", 0, nullptr, warm},
    {"seed", 1, nullptr, seed}, {"help", 0, nullptr, help}, {}}};
  constexpr auto any = ~std::uint64_t{0};
  options o;
  for (int c; (c = ::getopt_long(argc, argv, "", known.data(), nullptr)) != -1;)
    switch (c) {
      case port: o.port = static_cast<std::uint16_t>(number(optarg, 1, 65'535)); break;
      case pin: o.pin = optarg; break;
      case path: o.path = optarg; break;
      case host: o.host = optarg; break;
      case source: o.source = optarg; break;
      case length: o.length = number(optarg, 1, any); break;
      case align: o.align = number(optarg, 1, any); break;
      case within: o.within = number(optarg, 1, any); break;
      case connections: o.connections = number(optarg, 1, 10'000); break;
      case seconds: o.seconds = std::atof(optarg); break;
      case rate: o.rate = std::atof(optarg); break;
      case once: o.once = true; break;
      case warm: o.warm = true; break;
      case seed: o.seed = number(optarg, 0, any); break;
      case help: std::fputs(usage, stdout); std::exit(0);
      default: throw std::invalid_argument("try --help");
    }
  if (o.port == 0 || o.pin.empty() || o.path.empty() || o.source.empty() || !(o.seconds > 0))
    throw std::invalid_argument("--port, --pin, --path and --source are needed; try --help");
  return o;
}

/// The source in memory, all of it read before the first request.
core::byte_view map_file(const std::string& path) {
  transport::unique_fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  struct stat about{};
  if (!fd || ::fstat(fd.get(), &about) != 0 || about.st_size == 0)
    throw std::runtime_error("cannot read " + path);
  const auto size = static_cast<std::size_t>(about.st_size);
  auto* p = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd.get(), 0);
  if (p == MAP_FAILED)
    throw std::runtime_error("cannot map " + path);
  return {static_cast<const std::uint8_t*>(p), size};
}

double cpu_seconds() {
  rusage r{};
  ::getrusage(RUSAGE_SELF, &r);
  auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) * 1e-6;
  };
  return seconds(r.ru_utime) + seconds(r.ru_stime);
}

/// Which ranges are asked for, in which order.
class plan {
public:
  explicit plan(const options& o, std::uint64_t size) : o_(o), rng_(o.seed) {
    const auto within = std::min(o.within == 0 ? size : o.within, size);
    if (within < o.length)
      throw std::invalid_argument("the resource is shorter than a range");
    places_ = (within - o.length) / o.align + 1;
  }

  /// Every aligned range once, shuffled.
  std::deque<byte_range> all() {
    std::vector<std::uint64_t> order(places_);
    for (std::uint64_t i = 0; i < places_; ++i)
      order[i] = i;
    std::ranges::shuffle(order, rng_);
    std::deque<byte_range> out;
    for (auto i : order)
      out.push_back({i * o_.align, o_.length});
    return out;
  }
  byte_range random() { return {rng_() % places_ * o_.align, o_.length}; }

private:
  const options& o_;
  std::mt19937_64 rng_;
  std::uint64_t places_ = 0;
};

class load {
public:
  load(const options& o, const core::crypto::tls_context& context, const bench::resource& what)
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    clients_.reserve(o.connections);
    for (std::uint64_t i = 0; i < o.connections; ++i) {
      auto c = bench::range_client::connect(o.port, context, what);
      if (!c)
        throw std::runtime_error(c.error().message);
      clients_.push_back({std::move(*c), {}});
      epoll_event e{.events = EPOLLIN, .data = {.u64 = i}};
      if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, clients_.back().line.native(), &e) != 0)
        throw std::runtime_error("epoll_ctl failed");
      idle_.push_back(i);
    }
  }

  /// Asks for all of `ranges` as fast as they are answered.
  void run(std::deque<byte_range> ranges) {
    while (!ranges.empty() || idle_.size() < clients_.size()) {
      for (const auto now = steady::now(); !ranges.empty() && !idle_.empty(); ranges.pop_front())
        ask(ranges.front(), now);
      wait(std::nullopt);
    }
  }

  /// Asks for ranges of `p` until `seconds` have passed, and waits for the last answers. `rate` 0:
  /// as fast as they are answered.
  void run(plan& p, double seconds, double rate) {
    const auto begin = steady::now();
    const auto end = begin + std::chrono::duration_cast<steady::duration>(
                               std::chrono::duration<double>(seconds));
    std::deque<steady::time_point> due; // requests that found no idle connection; `rate * seconds`
    std::uint64_t made = 0;
    auto due_at = [&] {
      return begin + std::chrono::nanoseconds(
                       static_cast<std::int64_t>(static_cast<double>(made) * 1e9 / rate));
    };
    for (;;) {
      const auto now = steady::now();
      if (rate > 0)
        for (; due_at() <= now && due_at() < end; ++made)
          due.push_back(due_at());
      else if (now < end)
        due.assign(idle_.size(), now);
      for (; !due.empty() && !idle_.empty(); due.pop_front())
        ask(p.random(), due.front());
      if (now >= end && due.empty() && idle_.size() == clients_.size())
        return;
      wait(rate > 0 && now < end ? std::optional{due_at() - now} : std::nullopt);
    }
  }

  void forget() { times_ = {}; }
  const bench::histogram& times() const { return times_; }

private:
  struct client {
    bench::range_client line;
    steady::time_point since;
  };

  void ask(const byte_range& r, steady::time_point since) {
    auto& c = clients_[idle_.front()];
    idle_.pop_front();
    c.since = since;
    if (auto ok = c.line.ask(r); !ok)
      throw std::runtime_error(ok.error().message);
  }

  void wait(std::optional<steady::duration> time) {
    std::array<epoll_event, 64> events;
    timespec t{};
    if (time) {
      const auto ns = std::max<std::int64_t>(0, std::chrono::nanoseconds{*time}.count());
      t = {ns / 1'000'000'000, ns % 1'000'000'000};
    } else {
      t = {patience_seconds, 0};
    }
    auto n = ::epoll_pwait2(epoll_.get(), events.data(), static_cast<int>(events.size()), &t,
                            nullptr);
    if (n == 0 && !time)
      throw std::runtime_error("no answer within " + std::to_string(patience_seconds) + " s");
    for (int i = 0; i < n; ++i) {
      const auto index = events[static_cast<std::size_t>(i)].data.u64;
      auto& c = clients_[index];
      auto done = c.line.readable();
      if (!done)
        throw std::runtime_error(done.error().message);
      if (!*done)
        continue;
      times_.record(static_cast<std::uint64_t>(
        std::chrono::nanoseconds{steady::now() - c.since}.count()));
      idle_.push_back(index);
    }
  }

  static constexpr int patience_seconds = 10;

  transport::unique_fd epoll_;
  std::vector<client> clients_;
  std::deque<std::uint64_t> idle_; ///< longest idle first
  bench::histogram times_;
};

void report(const options& o, const bench::histogram& h, double seconds, double cpu) {
  auto us = [&](double percent) { return static_cast<double>(h.percentile(percent)) / 1e3; };
  const auto n = static_cast<double>(h.count());
  std::printf("{\"requests\":%.0f,\"seconds\":%.6f,\"per_second\":%.1f,\"bytes_checked\":%.0f,"
              "\"connections\":%llu,\"rate\":%.1f,\"mean_us\":%.1f,\"p50_us\":%.1f,\"p90_us\":%.1f,"
              "\"p99_us\":%.1f,\"p999_us\":%.1f,\"max_us\":%.1f,\"client_cpu_seconds\":%.6f}\n",
              n, seconds, n / seconds, n * static_cast<double>(o.length),
              static_cast<unsigned long long>(o.connections), o.rate, h.mean() / 1e3, us(50),
              us(90), us(99), us(99.9), static_cast<double>(h.max()) / 1e3, cpu);
}

void run(const options& o) {
  bench::resource what{.host = o.host, .path = o.path, .bytes = map_file(o.source)};
  auto context = core::crypto::tls_context::make_client({.pin = o.pin, .alpn = {"http/1.1"}});
  if (!context)
    throw std::runtime_error(context.error().message);
  plan p{o, what.bytes.size()};
  load l{o, *context, what};
  if (o.warm) {
    l.run(p.all());
    l.forget();
  }
  const auto begin = steady::now();
  const auto cpu = cpu_seconds();
  o.once ? l.run(p.all()) : l.run(p, o.seconds, o.rate);
  const std::chrono::duration<double> took = steady::now() - begin;
  report(o, l.times(), took.count(), cpu_seconds() - cpu);
}

} // namespace

int main(int argc, char** argv) {
  try {
    run(parse(argc, argv));
    return 0;
  } catch (const std::invalid_argument& e) {
    std::fprintf(stderr, "range_load: %s\n", e.what());
    return 2;
  } catch (const std::exception& e) {
    std::fprintf(stderr, "range_load: %s\n", e.what());
    return 1;
  }
}
