#include "core/store/environment.hpp"
#include "core/store/key.hpp"
#include "core/store/writer.hpp"
#include "storage/backend.hpp"
#include "storage/lmdb_backend.hpp"
#include "storage/put_assembler.hpp"

#include <benchmark/benchmark.h>

#include <condition_variable>
#include <filesystem>
#include <future>
#include <mutex>
#include <random>
#include <stdexcept>

#include <stdlib.h>

namespace {

using namespace ron;
using namespace ron::core;
namespace b3 = core::b3;
namespace lmdb = core::store;

/// A folder on the disk of the working folder: a RAM disk would say nothing about fdatasync.
struct folder {
  folder() {
    std::string pattern = "store-bench-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
      throw std::runtime_error("no folder");
    path = pattern;
  }
  ~folder() { std::filesystem::remove_all(path); }
  std::string path;
};

std::vector<std::uint8_t> noise(std::size_t n) {
  std::mt19937_64 rng{7};
  std::vector<std::uint8_t> out(n);
  for (auto& x : out)
    x = static_cast<std::uint8_t>(rng());
  return out;
}

/// Lets at most `max` things be under way, and waits for the last of them.
class window {
public:
  explicit window(std::size_t max) : max_(max) {}
  void enter() {
    std::unique_lock lock{mutex_};
    free_.wait(lock, [this] { return used_ < max_; });
    ++used_;
  }
  void leave() {
    std::lock_guard guard{mutex_};
    --used_;
    free_.notify_one();
  }
  void drain() {
    std::unique_lock lock{mutex_};
    free_.wait(lock, [this] { return used_ == 0; });
  }

private:
  std::mutex mutex_;
  std::condition_variable free_;
  std::size_t max_;
  std::size_t used_ = 0;
};

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

// -- objects ----------------------------------------------------------------------------------

system_clock wall;

std::unique_ptr<storage::backend> open_backend(const std::string& path, bool ram,
                                               std::uint64_t cache) {
  if (ram)
    return storage::make_ram_backend(0, wall);
  storage::lmdb_backend_options o;
  o.path = path + "/objects";
  o.map_bytes = 8ull << 30;
  o.verified_cache = cache;
  auto db = storage::open_lmdb_backend(o, wall);
  if (!db)
    throw std::runtime_error(db.error().message);
  return std::move(*db);
}

cid put(storage::backend& db, byte_view data) {
  window under_way{32};
  storage::put_assembler a{1ull << 40};
  auto to = db.begin();
  constexpr std::size_t piece = 128u << 10;
  for (std::size_t at = 0; at < data.size(); at += piece) {
    (void)a.add(data.subspan(at, std::min(piece, data.size() - at)));
    while (auto g = a.next()) {
      under_way.enter();
      to->add(std::move(*g), [&](const result<void>&) { under_way.leave(); });
    }
  }
  std::promise<cid> done;
  to->commit(a.finish(), {}, [&](result<storage::put_result> r) {
    done.set_value(r ? r->cid : cid{});
  });
  under_way.drain();
  return done.get_future().get();
}

void remove(storage::backend& db, const cid& c) {
  std::promise<void> done;
  db.del(c, {}, [&](const result<void>&) { done.set_value(); });
  done.get_future().wait();
}

/// A PUT of so many bytes until it is acknowledged; the first argument: 0 LMDB, 1 RAM.
void put_object(benchmark::State& state) {
  folder f;
  auto db = open_backend(f.path, state.range(0) == 1, 0);
  auto data = noise(static_cast<std::size_t>(state.range(1)));
  for (auto _ : state) {
    auto c = put(*db, data);
    state.PauseTiming();
    remove(*db, c);
    ++data[0]; // another object
    state.ResumeTiming();
  }
  state.SetBytesProcessed(state.iterations() * state.range(1));
}
BENCHMARK(put_object)->Name("storage/put")
  ->ArgsProduct({{0, 1}, {1'024, 65'536, 16 << 20}})
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
BENCHMARK(copy_and_hash)->Name("storage/put_roofline")->Arg(65'536)->Arg(16 << 20);

/// Verified 64 KiB reads at random places of 16 MiB: 0 LMDB verifying each time, 1 RAM, 2 LMDB out
/// of the cache of verified groups.
void read_group(benchmark::State& state) {
  folder f;
  auto db = open_backend(f.path, state.range(0) == 1, state.range(0) == 2 ? 64u << 20 : 0);
  auto data = noise(16u << 20);
  auto c = put(*db, data);
  auto groups = b3::group_count(data.size());
  for (std::uint64_t g = 0; g < groups; ++g)
    (void)db->read(c, g * b3::group_bytes, 1);
  std::mt19937_64 rng{3};
  std::uint64_t sum = 0;
  for (auto _ : state) {
    auto r = db->try_read(c, rng() % groups * b3::group_bytes, b3::group_bytes);
    if (!r || !*r)
      state.SkipWithError("not read");
    else
      sum += (*r)->data.data()[7];
  }
  benchmark::DoNotOptimize(sum);
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(b3::group_bytes));
}
BENCHMARK(read_group)->Name("storage/read_64KiB")->Arg(0)->Arg(1)->Arg(2);

} // namespace
