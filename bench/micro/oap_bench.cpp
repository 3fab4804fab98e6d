#include "oap/reader.hpp"
#include "oap/session.hpp"
#include "oap/writer.hpp"

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

/// OAP/1 without sockets: reader, writer and session on memory. Items are frames.
namespace {

using namespace ron;

std::vector<std::uint8_t> joined(const std::vector<core::bytes>& slices) {
  std::vector<std::uint8_t> out;
  for (const auto& b : slices)
    out.insert(out.end(), b.view().begin(), b.view().end());
  return out;
}

// DATA frames whose bytes are `size` long, `total` bytes of them or one.
std::vector<std::uint8_t> data_frames(std::size_t size, std::size_t& count,
                                      std::size_t total = 1u << 20) {
  oap::writer w;
  auto payload = core::bytes::copy(std::string(size, 'x'));
  count = std::max<std::size_t>(1, total / (size + oap::header_bytes + oap::ext_bytes));
  for (std::size_t i = 0; i < count; ++i)
    w.data({.corr = 1, .app = 1, .flags = oap::flag::req, .seq = i + 1}, payload);
  std::vector<core::bytes> out;
  w.take(out);
  return joined(out);
}

void count_frames(benchmark::State& state, std::size_t per_iteration, std::size_t bytes) {
  auto n = state.iterations();
  state.SetItemsProcessed(n * static_cast<std::int64_t>(per_iteration));
  state.SetBytesProcessed(n * static_cast<std::int64_t>(bytes));
}

// The whole buffer, every check on, the fields of DATA read.
void decode(benchmark::State& state) {
  std::size_t count = 0;
  auto wire = data_frames(static_cast<std::size_t>(state.range(0)), count);
  const oap::reader_limits limits{.x1 = true};
  for (auto _ : state) {
    core::byte_view in{wire};
    std::uint64_t sum = 0;
    while (!in.empty()) {
      auto r = oap::next(in, limits);
      if (r.is != oap::read_status::frame)
        break;
      auto d = oap::read_data(oap::view_of(in, r));
      sum += d.seq + d.bytes.size();
      in = in.subspan(r.len);
    }
    benchmark::DoNotOptimize(sum);
  }
  count_frames(state, count, wire.size());
}
BENCHMARK(decode)->Name("oap/decode")->Arg(32)->Arg(256)->Arg(4096)->Arg(65536);

// A frame's header alone: what a prefix costs each time it is asked about.
void header_parse(benchmark::State& state) {
  std::size_t count = 0;
  auto wire = data_frames(65'536, count);
  core::byte_view in{wire.data(), oap::header_bytes};
  const oap::reader_limits limits{.x1 = true};
  for (auto _ : state) {
    benchmark::DoNotOptimize(in);
    auto r = oap::next(in, limits);
    benchmark::DoNotOptimize(r);
  }
  count_frames(state, 1, oap::header_bytes);
}
BENCHMARK(header_parse)->Name("oap/header_parse");

// Oversize, unknown kind, truncated at every byte.
void decode_pathological(benchmark::State& state) {
  std::size_t count = 0;
  auto wire = data_frames(32, count);
  core::byte_view good{wire.data(), 86};
  auto bad = std::vector<std::uint8_t>(good.begin(), good.end());
  bad[oap::off::flags + 1] = 3;
  const oap::reader_limits limits{.x1 = true};
  for (auto _ : state) {
    for (std::size_t n = 0; n < good.size(); ++n)
      benchmark::DoNotOptimize(oap::next(good.first(n), limits));
    benchmark::DoNotOptimize(oap::next(core::byte_view{bad}, limits));
  }
  count_frames(state, good.size() + 1, 0);
}
BENCHMARK(decode_pathological)->Name("oap/decode_pathological");

void encode_ack(benchmark::State& state) {
  oap::writer w;
  std::vector<core::bytes> out;
  std::uint64_t seq = 0;
  for (auto _ : state) {
    for (int i = 0; i < 1'000; ++i)
      w.ack(1, ++seq, 32);
    out.clear();
    w.take(out);
  }
  count_frames(state, 1'000, 1'000 * oap::ack_bytes);
}
BENCHMARK(encode_ack)->Name("oap/encode_ack");

void encode_end(benchmark::State& state) {
  oap::writer w;
  std::vector<core::bytes> out;
  std::uint64_t seq = 0;
  for (auto _ : state) {
    for (int i = 0; i < 1'000; ++i)
      w.data({.corr = 1, .app = 1, .flags = oap::flag::resp | oap::flag::end, .status = 200,
              .seq = ++seq}, {});
    out.clear();
    w.take(out);
  }
  count_frames(state, 1'000, 1'000 * (oap::header_bytes + oap::ext_bytes));
}
BENCHMARK(encode_end)->Name("oap/encode_end");

void encode_data(benchmark::State& state) {
  oap::writer w;
  auto payload = core::bytes::copy(std::string(static_cast<std::size_t>(state.range(0)), 'x'));
  std::vector<core::bytes> out;
  std::uint64_t seq = 0;
  for (auto _ : state) {
    for (int i = 0; i < 16; ++i)
      w.data({.corr = 1, .app = 1, .flags = oap::flag::resp, .status = 200, .seq = ++seq},
             payload);
    out.clear();
    w.take(out);
  }
  count_frames(state, 16, 16 * payload.size());
}
BENCHMARK(encode_data)->Name("oap/encode_data")->Arg(32)->Arg(1024)->Arg(65536);

// Two sessions in one loop: DATA up, DATA down, ACKs both ways; one item = one request answered.
void echo(benchmark::State& state) {
  auto size = static_cast<std::size_t>(state.range(0));
  auto streams = static_cast<std::size_t>(state.range(1));
  oap::session client{oap::role::dialer, {.output_bytes_max = 1u << 20}};
  oap::session server{oap::role::acceptor, {.output_bytes_max = 1u << 20}};
  auto payload = core::bytes::copy(std::string(size, 'x'));
  oap::events batch;
  std::vector<core::bytes> out;
  std::size_t answered = 0;

  // As a link would: everything that is pending goes over in one read.
  auto carry = [&](oap::session& from, oap::session& to) {
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
  };
  carry(client, server);
  carry(server, client);
  std::vector<oap::corr_t> corrs;
  for (std::size_t i = 0; i < streams; ++i)
    corrs.push_back(client.open({.name = "echo"}).value());
  for (auto _ : state) {
    for (auto c : corrs)
      if (client.send(c, payload) != oap::send_status::sent)
        state.SkipWithError("no credit");
    carry(client, server);
    while (server.take_events(batch))
      for (auto& e : batch)
        if (auto* d = std::get_if<oap::data>(&e)) {
          server.consumed(d->corr);
          server.send(d->corr, d->bytes);
        }
    carry(server, client);
    while (client.take_events(batch))
      for (auto& e : batch)
        if (auto* d = std::get_if<oap::data>(&e)) {
          client.consumed(d->corr);
          ++answered;
        }
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(answered));
}
BENCHMARK(echo)->Name("oap/echo")->Args({1024, 1})->Args({1024, 32})->Args({65536, 8});

// Streams of 64 KiB frames from reads of 1 to 128 KiB; `copied` is what straddling costs.
void stream_reads(benchmark::State& state) {
  auto slab_bytes = static_cast<std::size_t>(state.range(0));
  std::size_t count = 0;
  auto wire = data_frames(65'536, count, 32u << 20);
  std::mt19937 rng{7};
  oap::session client{oap::role::dialer, {.max_inflight = 1'024, .ack_window = 1'024}};
  std::vector<core::bytes> out;
  oap::events batch;
  std::uint64_t copied = 0;
  std::uint64_t total = 0;
  for (auto _ : state) {
    state.PauseTiming();
    oap::session server{oap::role::acceptor,
                        {.max_inflight = 1'024, .ack_window = 1'024, .receive_budget = 1u << 30}};
    oap::writer w;
    w.hello(true, R"({"ack_window":1024,"max_inflight":1024})");
    w.start({.corr = 1, .app = 1, .window = 8, .name = "put"});
    out.clear();
    w.take(out);
    for (const auto& b : out)
      server.on_bytes(b, {});
    core::slab slab{slab_bytes};
    state.ResumeTiming();
    for (std::size_t at = 0; at < wire.size();) {
      auto n = std::min<std::size_t>(wire.size() - at, 1'024 + rng() % (127 * 1'024));
      if (slab.room().size() < n)
        slab = core::slab{slab_bytes};
      std::memcpy(slab.room().data(), wire.data() + at, n);
      auto from = slab.filled();
      slab.commit(n);
      at += n;
      server.on_bytes(slab.cut(from, n), {});
      while (server.take_events(batch))
        for (auto& e : batch)
          if (auto* d = std::get_if<oap::data>(&e))
            server.consumed(d->corr);
    }
    copied += server.counters().bytes_copied;
    total += wire.size();
  }
  count_frames(state, count, wire.size());
  state.counters["copied_per_64"]
    = 64.0 * static_cast<double>(copied) / static_cast<double>(std::max<std::uint64_t>(1, total));
}
BENCHMARK(stream_reads)->Name("oap/stream_reads_slab")->Arg(256 << 10)->Arg(1 << 20)->Arg(4 << 20);

} // namespace
