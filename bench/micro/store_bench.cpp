#include "core/store/environment.hpp"
#include "core/store/key.hpp"
#include "core/store/writer.hpp"
#include "micro/store_tools.hpp"

#include <benchmark/benchmark.h>

#include <future>
#include <random>
#include <stdexcept>

namespace {

using namespace ron;
using namespace ron::core;
using bench::folder;
using bench::noise;
using bench::window;
namespace lmdb = core::store;

std::unique_ptr<lmdb::environment> open_env(const std::string& path) {
  lmdb::environment_options o;
  o.path = path + "/env";
  o.map_bytes = 4ull << 30;
  o.tables = {"data"};
  auto env = lmdb::environment::open(std::move(o));
  if (!env)
    throw std::runtime_error(env.error().message);
  return std::move(*env);
}

constexpr lmdb::table data_table{0};
constexpr std::uint64_t entries = 100'000;

/// Acknowledged writes of 128 bytes with so many of them under way.
void put_small(benchmark::State& state) {
  folder f;
  auto env = open_env(f.path);
  lmdb::writer log{*env};
  window under_way{static_cast<std::size_t>(state.range(0))};
  auto value = noise(128);
  std::uint64_t n = 0;
  for (auto _ : state) {
    under_way.enter();
    log.submit({n % 16, 160, false,
                [n, &value](lmdb::transaction& t) {
                  return t.put(data_table, lmdb::key::of(n * 0x9E3779B97F4A7C15u), value);
                },
                [&](const result<void>&) { under_way.leave(); }});
    ++n;
  }
  under_way.drain();
  auto s = log.stats();
  state.SetItemsProcessed(static_cast<std::int64_t>(n));
  state.counters["jobs_per_commit"]
    = static_cast<double>(s.jobs) / static_cast<double>(std::max<std::uint64_t>(1, s.commits));
  state.counters["commit_us"] = static_cast<double>(s.commit_time.count()) / 1e3
                                / static_cast<double>(std::max<std::uint64_t>(1, s.commits));
}
BENCHMARK(put_small)->Name("store/put_128B")->Arg(1)->Arg(64)->Arg(1'024)->UseRealTime();

void fill(lmdb::environment& env) {
  lmdb::writer log{env};
  auto value = noise(128);
  for (std::uint64_t at = 0; at < entries; at += 10'000) {
    std::promise<void> stored;
    log.submit({0, 1, false,
                [&](lmdb::transaction& t) -> result<void> {
                  for (auto n = at; n < at + 10'000; ++n)
                    if (auto ok = t.put(data_table, lmdb::key::of(n), value); !ok)
                      return ok;
                  return {};
                },
                [&](const result<void>&) { stored.set_value(); }});
    stored.get_future().wait();
  }
}

/// Random reads, so many for each view; 1 is what a lone request pays.
void get_small(benchmark::State& state) {
  folder f;
  auto env = open_env(f.path);
  fill(*env);
  std::mt19937_64 rng{3};
  auto per_view = state.range(0);
  std::uint64_t sum = 0;
  for (auto _ : state) {
    auto view = env->read();
    for (std::int64_t i = 0; i < per_view; ++i) {
      auto v = view->get(data_table, lmdb::key::of(rng() % entries));
      if (!v) {
        state.SkipWithError("lost");
        return;
      }
      sum += v->data()[5];
    }
  }
  benchmark::DoNotOptimize(sum);
  state.SetItemsProcessed(state.iterations() * per_view);
}
BENCHMARK(get_small)->Name("store/get_128B")->Arg(1)->Arg(64);

} // namespace
