// What a program sees of a node through a bad network: puts objects, reads them back and compares
// every byte, on a few connections with one request at a time, dialling again whenever one breaks.

#include "core/base64.hpp"
#include "core/hash.hpp"
#include "core/json.hpp"
#include "core/limits.hpp"
#include "core/memory.hpp"
#include "load/flags.hpp"
#include "load/latency.hpp"
#include "quic_wire.hpp"
#include "ron/client.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace {

using namespace ron;

constexpr std::string_view usage
  = "usage: blend_client --target HOST:PORT --pin SHA256 --cap FILE [--wire tls|quic]\n"
    "         [--conns 8] [--seconds 10] [--timeout-ms 5000] [--seed 1] [--fetch CID]\n"
    "Half of the requests read an object that the connection has put (1 KiB to 256 KiB), a fifth\n"
    "put a new one, the rest are pings. FILE is a capability as `ronctl token` prints it. With\n"
    "--fetch all that is done is to fetch that object, again and again.\n"
    "One JSON line on stdout: requests answered, wrong answers, failures by kind, dials,\n"
    "percentiles in microseconds, payload per second. Exit code 1 only if an answer was wrong.\n"
    "  blend_client --target 127.0.0.1:9443 --pin $PIN --cap cap --wire quic --seconds 15\n";

core::instant now() {
  return std::chrono::steady_clock::now();
}

/// What came of the requests of one connection, or of all.
struct outcome {
  load::latency times;
  std::uint64_t answered = 0;
  std::uint64_t wrong = 0;
  std::uint64_t payload = 0;
  std::uint64_t dials = 0;
  std::map<std::string, std::uint64_t> failures;

  void add(const outcome& other) {
    times.add(other.times);
    answered += other.answered;
    wrong += other.wrong;
    payload += other.payload;
    dials += other.dials;
    for (const auto& [what, n] : other.failures)
      failures[what] += n;
  }
};

/// One caller: a connection at a time and what it has put. One thread.
class caller {
public:
  caller(const sdk::client_options& options, const std::optional<core::cid>& fetch,
         std::uint64_t seed)
    : options_(options), fetch_(fetch), dice_(seed) {
    // nop
  }

  /// Asks until `end`; the last request may take its own time-out longer.
  void run(core::instant end) {
    for (std::size_t refused = 0; now() < end && refused < refused_max;)
      refused = client_ || dial() ? ask() : refused + 1;
  }

  const outcome& result() const noexcept { return out_; }

private:
  struct object {
    core::cid cid;
    std::string bytes;
  };
  static constexpr std::size_t objects_max = 16;
  static constexpr std::size_t refused_max = 100; ///< dials in a row that failed: nobody is there

  bool dial() {
    ++out_.dials;
    auto made = sdk::client::connect(options_);
    if (!made)
      ++out_.failures["connect: " + std::string{core::to_string(made.error().code)}];
    else
      client_.emplace(std::move(*made));
    return client_.has_value();
  }

  /// One request. Always 0: the connection was there.
  std::size_t ask() {
    const auto die = dice_() % 10;
    const auto began = now();
    const auto [what, done] = fetch_                        ? std::pair{"get", fetch()}
                              : objects_.empty() || die < 2 ? std::pair{"put", put()}
                              : die < 7                     ? std::pair{"get", get()}
                                                            : std::pair{"ping", ping()};
    if (done) {
      ++out_.answered;
      out_.times.add(static_cast<std::uint64_t>((now() - began).count()));
      return 0;
    }
    ++out_.failures[what + (": " + std::string{core::to_string(done.error().code)})];
    if (done.error().code == core::ec::bad_digest)
      ++out_.wrong;
    client_.reset(); // whatever it was: its state is not known
    return 0;
  }

  core::result<void> ping() {
    auto took = client_->ping();
    return took ? core::result<void>{} : std::unexpected{took.error()};
  }

  core::result<void> put() {
    constexpr std::array<std::size_t, 3> sizes{1u << 10, 16u << 10, 256u << 10};
    std::string bytes(sizes[dice_() % sizes.size()], '\0');
    for (auto& c : bytes)
      c = static_cast<char>(dice_());
    const auto expected = core::b3::cid_of(core::bytes::copy(bytes).view());
    std::size_t at = 0;
    auto stored = client_->put([&]() -> core::result<core::bytes> {
      const auto n = std::min(bytes.size() - at, core::limits::chunk_bytes);
      return core::bytes::copy(std::string_view{bytes}.substr(std::exchange(at, at + n), n));
    });
    if (!stored)
      return std::unexpected{stored.error()};
    out_.payload += bytes.size();
    if (stored->cid != expected || stored->size != bytes.size())
      ++out_.wrong;
    if (objects_.size() < objects_max)
      objects_.push_back({expected, std::move(bytes)});
    else
      objects_[dice_() % objects_max] = {expected, std::move(bytes)};
    return {};
  }

  /// Its bytes are hashed on the way and must be the object's; nothing is kept.
  core::result<void> fetch() {
    const auto sink = [this](const core::bytes& b) -> core::result<void> {
      out_.payload += b.size();
      return {};
    };
    auto got = client_->get(*fetch_, std::nullopt, sink);
    return got ? core::result<void>{} : std::unexpected{got.error()};
  }

  core::result<void> get() {
    const auto& one = objects_[dice_() % objects_.size()];
    std::string bytes;
    auto got = client_->get(one.cid, std::nullopt, [&](const core::bytes& b) -> core::result<void> {
      bytes += b.text();
      return {};
    });
    if (!got)
      return std::unexpected{got.error()};
    out_.payload += bytes.size();
    if (bytes != one.bytes)
      ++out_.wrong;
    return {};
  }

  const sdk::client_options& options_;
  const std::optional<core::cid> fetch_;
  std::mt19937_64 dice_;
  std::optional<sdk::client> client_;
  std::vector<object> objects_;
  outcome out_;
};

sdk::client_options options_of(const load::flags& f) {
  sdk::client_options o;
  std::tie(o.host, o.port) = f.address("target");
  o.pin = f.text("pin");
  std::string text;
  std::ifstream{f.text("cap")} >> text;
  const auto token = core::base64url_decode(text);
  if (text.empty() || !token)
    f.refuse("--cap: no capability in " + f.text("cap"));
  o.token = token->text();
  const std::chrono::milliseconds patience{f.number("timeout-ms", 100, 60'000)};
  o.connect_timeout = o.overall_timeout = o.idle_timeout = patience;
  if (f.text("wire") == "quic")
    o.dial = cli::quic_dialer();
  else if (f.text("wire") != "tls")
    f.refuse("--wire: tls or quic");
  return o;
}

void print(const outcome& all, std::size_t conns, double took) {
  auto us = [&](double q) { return static_cast<double>(all.times.quantile(q)) / 1e3; };
  std::puts(core::dump_json({{"answered", all.answered},
                             {"wrong", all.wrong},
                             {"failures", all.failures},
                             {"dials", all.dials},
                             {"reconnects", all.dials - std::min(all.dials, conns)},
                             {"seconds", took},
                             {"per_second", static_cast<double>(all.answered) / took},
                             {"payload_bytes_per_second", static_cast<double>(all.payload) / took},
                             {"gbit_per_second", static_cast<double>(all.payload) * 8e-9 / took},
                             {"p50_us", us(0.5)},
                             {"p95_us", us(0.95)},
                             {"p99_us", us(0.99)},
                             {"max_us", static_cast<double>(all.times.max()) / 1e3},
                             {"cpu_seconds", core::read_process_usage().cpu_seconds}})
              .c_str());
}

} // namespace

int main(int argc, char** argv) {
  const load::flags f{argc, argv,
                      {{"target", "127.0.0.1:9443"}, {"pin", ""}, {"cap", ""}, {"wire", "tls"},
                       {"conns", "8"}, {"seconds", "10"}, {"timeout-ms", "5000"}, {"seed", "1"},
                       {"fetch", ""}},
                      usage};
  const auto options = options_of(f);
  const auto fetch = core::cid::parse(f.text("fetch"));
  if (!fetch && !f.text("fetch").empty())
    f.refuse("--fetch: b3: and 64 hex digits");
  const auto conns = f.number("conns", 1, 256);
  const auto seed = f.number("seed", 0, ~0ull);
  std::signal(SIGPIPE, SIG_IGN);
  const auto began = now();
  const auto end = began + std::chrono::seconds{f.number("seconds", 1, 3'600)};
  std::vector<caller> callers;
  for (std::size_t i = 0; i < conns; ++i)
    callers.emplace_back(options, fetch, seed * 1'000 + i);
  {
    std::vector<std::jthread> threads;
    for (auto& c : callers)
      threads.emplace_back([&c, end] { c.run(end); });
  }
  outcome all;
  for (const auto& c : callers)
    all.add(c.result());
  print(all, conns, std::chrono::duration<double>(now() - began).count());
  return all.wrong == 0 ? 0 : 1;
}
