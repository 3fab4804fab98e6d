#include "core/hash.hpp"

#include <benchmark/benchmark.h>

#include <random>

namespace {

using namespace ron::core;

std::vector<std::uint8_t> noise(std::size_t n) {
  std::mt19937_64 rng{7};
  std::vector<std::uint8_t> out(n);
  for (auto& x : out)
    x = static_cast<std::uint8_t>(rng());
  return out;
}

void set_rate(benchmark::State& state, std::size_t bytes) {
  state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations())
                          * static_cast<std::int64_t>(bytes));
}

/// The library alone: the bar for all that follows.
void whole(benchmark::State& state) {
  auto data = noise(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state)
    benchmark::DoNotOptimize(b3::hash(data));
  set_rate(state, data.size());
}
BENCHMARK(whole)->Name("hash/whole")->Arg(1'024)->Arg(65'536)->Arg(8 << 20);

/// What a PUT pays: root and outboard in one pass.
void tree(benchmark::State& state) {
  auto data = noise(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    b3::tree_builder t;
    t.feed(data);
    benchmark::DoNotOptimize(t.finish());
  }
  set_rate(state, data.size());
}
BENCHMARK(tree)->Name("hash/tree")->Arg(65'536)->Arg(8 << 20);

/// What a cold range start pays: one group of an object of so many groups.
void verify(benchmark::State& state) {
  auto groups = static_cast<std::size_t>(state.range(0));
  auto data = noise(groups * b3::group_bytes);
  b3::tree_builder t;
  t.feed(data);
  auto root = t.finish();
  auto nodes = t.take_nodes();
  b3::node_reader reader = [&](std::uint64_t n) { return nodes.data() + n * b3::node_bytes; };
  std::uint64_t g = 0;
  for (auto _ : state) {
    auto group = byte_view{data}.subspan(g * b3::group_bytes, b3::group_bytes);
    if (!b3::verify_group(root, data.size(), g, group, reader))
      state.SkipWithError("a good group was refused");
    g = (g + 7) % groups;
  }
  set_rate(state, b3::group_bytes);
}
BENCHMARK(verify)->Name("hash/verify_group")->Arg(1)->Arg(128);

/// What starting a process pays.
void self_test(benchmark::State& state) {
  for (auto _ : state)
    benchmark::DoNotOptimize(b3::self_test());
}
BENCHMARK(self_test)->Name("hash/self_test");

} // namespace
