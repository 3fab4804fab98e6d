// OAP/1 sessions on memory: whole connections, credit, HELLO with and without PQ flags, streams.
#include "micro/measure.hpp"
#include "micro/oap_frames.hpp"
#include "oap/session.hpp"

#include <cstring>
#include <random>
#include <span>
#include <string_view>

namespace {

using namespace ron;
using bench::measure;

constexpr std::string_view posture = R"({"mode":2,"kex":1,"sig":1})";

oap::session_settings wide(std::string_view pq = {}) {
  return {.max_inflight = 1'024, .ack_window = 1'024, .receive_budget = 1u << 30,
          .pq = std::string{pq}};
}

core::bytes slice_of(std::span<const std::uint8_t> v) {
  return core::bytes::copy(v);
}

/// Everything an owner does with what has arrived.
struct owner {
  void settle(oap::session& s) {
    while (s.take_events(batch))
      for (auto& e : batch)
        if (auto* d = std::get_if<oap::data>(&e))
          s.consumed(d->corr);
    out.clear();
    s.take(out);
  }
  oap::events batch{};
  std::vector<core::bytes> out{};
};

// -- whole connections -----------------------------------------------------------------------

struct script {
  core::bytes wire{};
  std::size_t frames = 0;
};

/// HELLO, START, `count` DATA of `size` bytes, END; `objects`: they are one object and say so.
script connection_of(std::size_t size, std::size_t count, bool objects, std::string_view pq) {
  oap::writer w;
  auto payload = bench::payload_of(size);
  core::cid id;
  id.hash.fill(7);
  std::string hello = R"({"ua":"b","max_inflight":1024,"ack_window":1024,"features":["x1"])";
  if (!pq.empty())
    hello += R"(,"pq":)" + std::string{pq};
  w.hello(true, hello + '}');
  w.start({.corr = 1, .app = 1, .objects = objects, .window = 8, .name = "o.put"});
  for (std::size_t i = 1; i <= count; ++i)
    w.data({.corr = 1, .app = 1, .flags = oap::flag::req, .seq = i, .obj = objects ? &id : nullptr},
           payload);
  w.data({.corr = 1, .app = 1, .flags = oap::flag::req | oap::flag::end, .seq = count}, {});
  return {slice_of(bench::joined(w)), count + 3};
}

/// Reads all of it as reads of 128 KiB would bring it; false if anything was refused.
bool read_connection(const script& c, const oap::session_settings& settings, owner& o) {
  oap::session s{oap::role::acceptor, settings};
  for (std::size_t at = 0; at < c.wire.size(); at += core::limits::read_buffer_bytes) {
    s.on_bytes(c.wire.slice(at, core::limits::read_buffer_bytes), {});
    o.settle(s);
  }
  return s.counters().frames_in[static_cast<std::size_t>(oap::kind::end)] == 1;
}

// A session is made for each: an operation is a frame of the connection, HELLO's cost included.
void decode_happy(benchmark::State& state, bool objects, std::string_view pq) {
  auto size = static_cast<std::size_t>(state.range(0));
  auto c = connection_of(size, std::min<std::size_t>(1'000, bench::frames_in(4u << 20, size)),
                         objects, pq);
  auto settings = wide(pq);
  owner o;
  if (!read_connection(c, settings, o))
    return state.SkipWithError("a frame was refused");
  measure(state, {c.frames, c.wire.size()}, [&] { read_connection(c, settings, o); });
}
void decode_plain(benchmark::State& state) {
  decode_happy(state, false, {});
}
BENCHMARK(decode_plain)->Name("oap/decode_happy")->Arg(32)->Arg(256)->Arg(4096)->Arg(65536);
void decode_objects(benchmark::State& state) {
  decode_happy(state, true, {});
}
BENCHMARK(decode_objects)->Name("oap/decode_happy_obj")->Arg(32)->Arg(256)->Arg(4096)->Arg(65536);
void decode_pq(benchmark::State& state) {
  decode_happy(state, false, posture);
}
BENCHMARK(decode_pq)->Name("oap/decode_happy_pq")->Arg(32)->Arg(256)->Arg(4096)->Arg(65536);

// A connection of 256 frames with PQ flags in both HELLOs and one without, in turn, so that a noisy
// machine is noisy for both; an iteration is one pair. `overhead_pct` compares their medians.
void pq_overhead(benchmark::State& state) {
  const auto plain = connection_of(32, 256, false, {});
  const auto pq = connection_of(32, 256, false, posture);
  const auto plain_settings = wide();
  const auto pq_settings = wide(posture);
  owner o;
  std::vector<double> without;
  std::vector<double> with;
  without.reserve(static_cast<std::size_t>(state.max_iterations));
  with.reserve(static_cast<std::size_t>(state.max_iterations));
  for (auto _ : state) {
    const auto start = bench::sample_clock::now();
    read_connection(plain, plain_settings, o);
    const auto between = bench::sample_clock::now();
    read_connection(pq, pq_settings, o);
    without.push_back(bench::ns_of(between - start));
    with.push_back(bench::ns_of(bench::sample_clock::now() - between));
  }
  const auto frames = static_cast<double>(plain.frames);
  const auto median = bench::percentile(with, 50);
  state.counters["p50_ns"] = median / frames;
  state.counters["p95_ns"] = bench::percentile(with, 95) / frames;
  state.counters["overhead_pct"] = 100 * (median / bench::percentile(without, 50) - 1);
}
BENCHMARK(pq_overhead)->Name("oap/pq_overhead");

// Both sides' HELLO and nothing else; an operation is a connection.
void hello_exchange(benchmark::State& state, std::string_view pq) {
  auto settings = wide(pq);
  owner o;
  std::vector<core::bytes> up;
  std::vector<core::bytes> down;
  measure(state, {1, 0}, [&] {
    oap::session client{oap::role::dialer, settings};
    oap::session server{oap::role::acceptor, settings};
    up.clear();
    down.clear();
    client.take(up);
    server.take(down);
    for (auto& b : up)
      server.on_bytes(std::move(b), {});
    for (auto& b : down)
      client.on_bytes(std::move(b), {});
    o.settle(client);
    o.settle(server);
  });
}
void hello_plain(benchmark::State& state) {
  hello_exchange(state, {});
}
BENCHMARK(hello_plain)->Name("oap/hello_exchange");
void hello_pq(benchmark::State& state) {
  hello_exchange(state, posture);
}
BENCHMARK(hello_pq)->Name("oap/hello_exchange_pq");

// -- what is wrong -----------------------------------------------------------------------

// A stream opened and a frame on it whose seq leaves a gap: an ERROR on the stream, which is gone.
// An operation is both frames; the session lives on.
void credit_violation(benchmark::State& state) {
  constexpr std::size_t streams = 64;
  oap::writer w;
  owner o;
  std::vector<core::bytes> rounds;
  oap::corr_t corr = 0;
  oap::session s{oap::role::acceptor, {.max_streams = 65'536}};
  w.hello(true, R"({"max_streams":65536})");
  s.on_bytes(slice_of(bench::joined(w)), {});
  core::instant now{};
  measure(state, {streams, 0}, [&] {
    for (std::size_t i = 0; i < streams; ++i) {
      w.start({.corr = ++corr, .app = 1, .window = 8, .name = "o.put"});
      w.data({.corr = corr, .app = 1, .flags = oap::flag::req, .seq = 2}, {});
    }
    rounds.clear();
    w.take(rounds);
    now += std::chrono::seconds{2}; // as many STARTs as a second may bring are no limit here
    for (auto& b : rounds)
      s.on_bytes(std::move(b), now);
    o.settle(s);
  });
  constexpr auto bucket = static_cast<std::size_t>(oap::bucket::credit_violation);
  if (s.counters().rejects[bucket] != corr)
    state.SkipWithError("another reject");
}
BENCHMARK(credit_violation)->Name("oap/decode_pathological/credit_violation");

// -- two sessions ------------------------------------------------------------------------

/// Everything that is pending goes over in one read, as a link would bring it.
void carry(oap::session& from, oap::session& to, std::vector<core::bytes>& out) {
  out.clear();
  if (!from.take(out))
    return;
  std::size_t n = 0;
  for (const auto& b : out)
    n += b.size();
  core::slab slab{n};
  for (const auto& b : out) {
    std::memcpy(slab.room().data(), b.data(), b.size());
    slab.commit(b.size());
  }
  to.on_bytes(slab.cut(0, n), {});
}

// DATA up, DATA down, ACKs both ways; an operation is a request answered.
void echo(benchmark::State& state) {
  auto size = static_cast<std::size_t>(state.range(0));
  auto streams = static_cast<std::size_t>(state.range(1));
  oap::session client{oap::role::dialer, {.output_bytes_max = 1u << 20}};
  oap::session server{oap::role::acceptor, {.output_bytes_max = 1u << 20}};
  auto payload = bench::payload_of(size);
  oap::events batch;
  std::vector<core::bytes> out;
  carry(client, server, out);
  carry(server, client, out);
  std::vector<oap::corr_t> corrs;
  for (std::size_t i = 0; i < streams; ++i)
    corrs.push_back(client.open({.name = "echo"}).value());
  measure(state, {streams, 2 * streams * size}, [&] {
    for (auto c : corrs)
      if (client.send(c, payload) != oap::send_status::sent)
        state.SkipWithError("no credit");
    carry(client, server, out);
    while (server.take_events(batch))
      for (auto& e : batch)
        if (auto* d = std::get_if<oap::data>(&e)) {
          server.consumed(d->corr);
          server.send(d->corr, d->bytes);
        }
    carry(server, client, out);
    while (client.take_events(batch))
      for (auto& e : batch)
        if (auto* d = std::get_if<oap::data>(&e))
          client.consumed(d->corr);
  });
}
BENCHMARK(echo)->Name("oap/echo")->Args({1024, 1})->Args({1024, 32})->Args({65536, 8});

// -- reads that end anywhere ---------------------------------------------------------------

// 32 MiB in frames of 64 KiB, from reads of 1 to 128 KiB into slabs of the given size;
// `copied_per_64` is what frames cost that lie across two slabs.
void stream_reads(benchmark::State& state) {
  const auto slab_bytes = static_cast<std::size_t>(state.range(0));
  const auto c = connection_of(65'536, bench::frames_in(32u << 20, 65'536), false, {});
  const auto settings = wide();
  std::mt19937 random{7};
  owner o;
  std::uint64_t copied = 0;
  measure(state, {c.frames, c.wire.size()}, [&] {
    oap::session s{oap::role::acceptor, settings};
    core::slab slab{slab_bytes};
    for (std::size_t at = 0; at < c.wire.size();) {
      auto n = std::min<std::size_t>(c.wire.size() - at, 1'024 + random() % (127 * 1'024));
      if (slab.room().size() < n)
        slab = core::slab{slab_bytes};
      std::memcpy(slab.room().data(), c.wire.data() + at, n);
      auto from = slab.filled();
      slab.commit(n);
      at += n;
      s.on_bytes(slab.cut(from, n), {});
      o.settle(s);
    }
    copied = s.counters().bytes_copied;
  });
  state.counters["copied_per_64"]
    = 64.0 * static_cast<double>(copied) / static_cast<double>(c.wire.size());
}
BENCHMARK(stream_reads)->Name("oap/stream_reads_slab")->Arg(256 << 10)->Arg(1 << 20)->Arg(4 << 20);

} // namespace
