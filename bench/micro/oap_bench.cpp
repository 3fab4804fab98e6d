// OAP/1 frames without a session: reader, writer, inflation of COMP. An operation is a frame.
#include "micro/measure.hpp"
#include "micro/oap_frames.hpp"
#include "oap/reader.hpp"
#include "transport/oap_inflate.hpp"
#include "transport/write_queue.hpp"

#include <zstd.h>

#include <array>
#include <random>

namespace {

using namespace ron;
using bench::measure;

constexpr oap::reader_limits with_blocks{.x1 = true};
constexpr std::size_t wire_bytes = 1u << 20; // of frames in a row: in no cache but the last
constexpr std::size_t chunk_16k = 16u << 10;

std::size_t size_of(const benchmark::State& state) {
  return static_cast<std::size_t>(state.range(0));
}

// -- reading -----------------------------------------------------------------------------

// The whole buffer, every check on, the fields of DATA read.
void read_all(core::byte_view in) {
  std::uint64_t sum = 0;
  while (!in.empty()) {
    auto r = oap::next(in, with_blocks);
    if (r.is != oap::read_status::frame)
      break;
    auto d = oap::read_data(oap::view_of(in, r));
    sum += d.seq + d.bytes.size();
    in = in.subspan(r.len);
  }
  benchmark::DoNotOptimize(sum);
}

void decode(benchmark::State& state) {
  auto count = bench::frames_in(wire_bytes, size_of(state));
  auto wire = bench::data_frames(size_of(state), count);
  measure(state, {count, wire.size()}, [&] { read_all(wire); });
}
BENCHMARK(decode)->Name("oap/decode")->Arg(32)->Arg(256)->Arg(4096)->Arg(65536);

// One frame that is in the cache.
void decode_one(benchmark::State& state) {
  auto wire = bench::data_frames(size_of(state), 1);
  measure(state, {1, wire.size()}, [&] {
    benchmark::DoNotOptimize(wire.data());
    read_all(wire);
  });
}
BENCHMARK(decode_one)->Name("oap_frame_decode_16k")->Arg(chunk_16k);

// A frame's header alone: what a prefix costs each time it is asked about.
void header_parse(benchmark::State& state) {
  auto wire = bench::data_frames(65'536, 1);
  core::byte_view in{wire.data(), oap::header_bytes};
  measure(state, {1, in.size()}, [&] {
    benchmark::DoNotOptimize(in);
    auto r = oap::next(in, with_blocks);
    benchmark::DoNotOptimize(r);
  });
}
BENCHMARK(header_parse)->Name("oap_header_parse");

// -- what is wrong -----------------------------------------------------------------------

// A length that is refused at its fourth byte: the law's 1 MiB and one byte, nothing behind it.
void oversize(benchmark::State& state) {
  std::array<std::uint8_t, 4> in{};
  oap::store_be(in.data(), core::limits::oap_frame_bytes_law + 1);
  measure(state, {1, in.size()}, [&] {
    benchmark::DoNotOptimize(in.data());
    auto r = oap::next(in, {});
    benchmark::DoNotOptimize(r);
  });
}
BENCHMARK(oversize)->Name("oap/decode_pathological/header_reject_1mib");

// A frame of 32 bytes asked about at each of its prefixes; an operation is one question.
void truncated(benchmark::State& state) {
  auto wire = bench::data_frames(32, 1);
  core::byte_view in{wire};
  measure(state, {in.size(), 0}, [&] {
    for (std::size_t n = 0; n < in.size(); ++n)
      benchmark::DoNotOptimize(oap::next(in.first(n), with_blocks));
  });
}
BENCHMARK(truncated)->Name("oap/decode_pathological/truncated_everywhere");

void refused(benchmark::State& state, std::size_t at, std::uint8_t value, oap::reason why) {
  auto wire = bench::data_frames(32, 1);
  wire[at] = value;
  if (oap::next(wire, with_blocks).why != why)
    return state.SkipWithError("another reject");
  measure(state, {1, wire.size()}, [&] {
    benchmark::DoNotOptimize(wire.data());
    auto r = oap::next(wire, with_blocks);
    benchmark::DoNotOptimize(r);
  });
}
void unknown_envelope(benchmark::State& state) {
  refused(state, oap::off::flags + 1, oap::flag::req | oap::flag::resp,
          oap::reason::unknown_envelope);
}
BENCHMARK(unknown_envelope)->Name("oap/decode_pathological/unknown_envelope");
void bad_version(benchmark::State& state) {
  refused(state, oap::off::ver + 1, 2, oap::reason::bad_version);
}
BENCHMARK(bad_version)->Name("oap/decode_pathological/bad_version");

// -- writing -----------------------------------------------------------------------------

// `write` makes a frame; they are taken as the link would, 64 at a time.
template <class F>
void encode(benchmark::State& state, std::size_t frame_bytes, F write) {
  constexpr std::size_t frames = 64;
  oap::writer w;
  std::vector<core::bytes> out;
  std::uint64_t seq = 0;
  measure(state, {frames, frames * frame_bytes}, [&] {
    for (std::size_t i = 0; i < frames; ++i)
      write(w, ++seq);
    out.clear();
    w.take(out);
  });
}

void encode_ack(benchmark::State& state) {
  encode(state, oap::ack_bytes, [](oap::writer& w, std::uint64_t seq) { w.ack(1, seq, 32); });
}
BENCHMARK(encode_ack)->Name("oap/encode_ack");

void encode_end(benchmark::State& state) {
  encode(state, bench::data_head_bytes, [](oap::writer& w, std::uint64_t seq) {
    w.data({.corr = 1, .app = 1, .flags = oap::flag::resp | oap::flag::end, .status = 200,
            .seq = seq},
           {});
  });
}
BENCHMARK(encode_end)->Name("oap/encode_end");

void encode_data(benchmark::State& state) {
  auto payload = bench::payload_of(size_of(state));
  encode(state, bench::data_head_bytes + payload.size(),
         [&](oap::writer& w, std::uint64_t seq) {
           w.data({.corr = 1, .app = 1, .flags = oap::flag::resp, .status = 200, .seq = seq},
                  payload);
         });
}
BENCHMARK(encode_data)->Name("oap/encode_data")->Arg(32)->Arg(256)->Arg(4096)->Arg(65536);
BENCHMARK(encode_data)->Name("oap_frame_encode_16k")->Arg(chunk_16k);

// Frames of `size` bytes on their way to the kernel in pieces of 64 KiB: written, queued, gathered
// and taken off again. An operation is 64 KiB; `slices` is what the kernel is given for them.
void write_coalesce(benchmark::State& state) {
  auto payload = bench::payload_of(size_of(state));
  const auto frames = bench::frames_in(core::limits::write_coalesce_bytes, payload.size());
  const auto bytes = frames * (bench::data_head_bytes + payload.size());
  oap::writer w;
  transport::write_queue queue;
  std::vector<core::bytes> out;
  std::array<iovec, transport::write_queue::gather_slices_max> vectors{};
  std::uint64_t seq = 0;
  std::size_t slices = 0;
  std::size_t calls = 0;
  measure(state, {1, bytes}, [&] {
    for (std::size_t i = 0; i < frames; ++i)
      w.data({.corr = 1, .app = 1, .flags = oap::flag::resp, .status = 200, .seq = ++seq}, payload);
    w.take(out);
    queue.push(out);
    while (!queue.empty()) {
      const auto n = queue.gather(vectors);
      slices += n;
      std::size_t taken = 0;
      for (std::size_t i = 0; i < n; ++i)
        taken += vectors[i].iov_len;
      queue.consume(taken);
    }
    ++calls;
  });
  state.counters["slices"] = static_cast<double>(slices) / static_cast<double>(calls);
}
BENCHMARK(write_coalesce)->Name("oap/write_coalesce_64k_chunks")->Arg(256)->Arg(4096)->Arg(65536);

// -- inflation ---------------------------------------------------------------------------

// Text of 1 MiB that packs to about a fifth.
std::string packable_mib() {
  std::string text;
  std::mt19937 random{1};
  while (text.size() < (1u << 20))
    text += "word" + std::to_string(random() >> 24) + ' ';
  text.resize(1u << 20);
  return text;
}

std::string packed(const std::string& text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

core::byte_view view_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// A COMP frame that inflates to 1 MiB; bytes are those that come out.
void inflate_mib(benchmark::State& state) {
  auto wire = packed(packable_mib());
  measure(state, {1, 1u << 20}, [&] {
    auto raw = transport::inflate_frame(view_of(wire), 1u << 20, {});
    if (!raw)
      state.SkipWithError("refused");
    benchmark::DoNotOptimize(raw);
  });
}
BENCHMARK(inflate_mib)->Name("oap/bounded_inflate_guard_1mib");

// The same by zstd alone into memory that is there: what the bounds cost.
void inflate_mib_raw(benchmark::State& state) {
  auto wire = packed(packable_mib());
  std::string out(1u << 20, '\0');
  auto* context = ZSTD_createDCtx();
  measure(state, {1, 1u << 20}, [&] {
    auto n = ZSTD_decompressDCtx(context, out.data(), out.size(), wire.data(), wire.size());
    benchmark::DoNotOptimize(n);
    benchmark::ClobberMemory();
  });
  ZSTD_freeDCtx(context);
}
BENCHMARK(inflate_mib_raw)->Name("oap/inflate_1mib_zstd_alone");

// 8 MiB of zeros that say they are 1 MiB of text: refused at the ratio.
void inflate_bomb(benchmark::State& state) {
  auto wire = packed(std::string(8u << 20, '\0'));
  measure(state, {1, wire.size()}, [&] {
    auto raw = transport::inflate_frame(view_of(wire), 1u << 20, {});
    if (raw)
      state.SkipWithError("let through");
    benchmark::DoNotOptimize(raw);
  });
}
BENCHMARK(inflate_bomb)->Name("oap/bounded_inflate_guard_bomb");

} // namespace
