// Objects in the two back ends, without actors and wires: PUT, GET, and where a range starts.
#include "micro/store_tools.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <random>

namespace {

using namespace ron;
using namespace ron::bench;
namespace b3 = core::b3;

enum kind : std::int64_t { lmdb, ram, lmdb_cached };

std::unique_ptr<storage::backend> open(const folder& f, std::int64_t which) {
  static const core::system_clock wall;
  if (which == ram)
    return storage::make_ram_backend(0, wall);
  return open_objects(f.path, which == lmdb_cached ? 256u << 20 : 0);
}

/// A PUT of so many bytes until it is acknowledged.
void put(benchmark::State& state) {
  folder f;
  auto db = open(f, state.range(0));
  auto data = noise(static_cast<std::size_t>(state.range(1)));
  for (auto _ : state) {
    auto c = put_object(*db, data);
    state.PauseTiming();
    remove_object(*db, c);
    ++data[0]; // another object
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * state.range(1));
}
BENCHMARK(put)->Name("storage/put")
  ->ArgNames({"ram", "bytes"})
  ->ArgsProduct({{lmdb, ram}, {1'024, 65'536, 64 << 20}})
  ->UseRealTime();

/// The roofline of a PUT: one copy and one hash.
void copy_and_hash(benchmark::State& state) {
  auto data = noise(static_cast<std::size_t>(state.range(0)));
  std::vector<std::uint8_t> copy(data.size());
  for (auto _ : state) {
    std::memcpy(copy.data(), data.data(), data.size());
    benchmark::DoNotOptimize(b3::hash(copy));
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(copy_and_hash)->Name("storage/put_roofline")->Arg(65'536)->Arg(64 << 20);

/// A whole object, group by group: 0 LMDB verifying each time, 1 RAM, 2 LMDB out of the cache of
/// verified groups.
void get(benchmark::State& state) {
  folder f;
  auto db = open(f, state.range(0));
  const auto size = static_cast<std::uint64_t>(state.range(1));
  const auto c = put_object(*db, noise(size));
  std::uint64_t sum = 0;
  for (auto _ : state)
    for (std::uint64_t at = 0; at < size; at += b3::group_bytes) {
      auto r = db->read(c, at, b3::group_bytes);
      if (!r)
        return state.SkipWithError("not read");
      sum += r->data.data()[7];
    }
  benchmark::DoNotOptimize(sum);
  state.SetBytesProcessed(state.iterations() * state.range(1));
}
BENCHMARK(get)->Name("storage/get")
  ->ArgNames({"kind", "bytes"})
  ->ArgsProduct({{lmdb, ram, lmdb_cached}, {1'024, 65'536, 64 << 20}});

/// Where a range starts: the head and the first bytes of random places of an object of so many
/// bytes, as `GET` with `Range` asks for them.
void range_start(benchmark::State& state) {
  folder f;
  auto db = open(f, state.range(0));
  const auto size = static_cast<std::uint64_t>(state.range(1));
  const auto c = put_object(*db, noise(size));
  const auto groups = b3::group_count(size);
  for (std::uint64_t g = 0; g < groups; ++g)
    if (!db->read(c, g * b3::group_bytes, 1))
      return state.SkipWithError("not read");
  std::mt19937_64 rng{3};
  std::uint64_t sum = 0;
  for (auto _ : state) {
    auto about = db->head(c);
    auto r = db->try_read(c, rng() % groups * b3::group_bytes, b3::group_bytes);
    if (!about || !r || !*r)
      return state.SkipWithError("not read");
    sum += (*r)->data.data()[7];
  }
  benchmark::DoNotOptimize(sum);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(b3::group_bytes));
}
BENCHMARK(range_start)->Name("storage/range_start")
  ->ArgNames({"kind", "bytes"})
  ->ArgsProduct({{lmdb, ram, lmdb_cached}, {16 << 20, 128 << 20}});

} // namespace
