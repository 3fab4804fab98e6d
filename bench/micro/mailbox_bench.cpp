// What mail costs: the partition machine alone, and with its journal on a disk. The life of a
// message is a send, a delivery and an acknowledgement; kept, it is told of each after its commit.
#include "core/ids.hpp"
#include "mailbox/lmdb_journal.hpp"
#include "mailbox/partition.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <vector>

#include <stdlib.h>

namespace {

using namespace ron;
using namespace ron::mailbox;
using namespace std::chrono_literals;

/// A folder on the disk of the working folder: a RAM disk would say nothing about fdatasync.
struct folder {
  folder() {
    std::string pattern = "mailbox-bench-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr)
      throw std::runtime_error("no folder");
    path = pattern;
  }
  ~folder() { std::filesystem::remove_all(path); }
  std::string path;
};

core::system_clock wall;

/// A partition, and its journal if it has one.
struct bench_box {
  explicit bench_box(journal* to) : store(to) {
    partition_sources s;
    s.random = [this] { return random(); };
    s.make_id = [this](std::int64_t wall_ms) { return ids.next_ulid(wall_ms).to_text(); };
    s.next_seqs = [this](std::size_t n) { return (seq += n) - n + 1; };
    if (store)
      s.bucket_of = [this](std::string_view t) { return store->bucket_of(t); };
    box.emplace(partition_limits{}, std::move(s));
  }

  journal* store;
  std::mt19937_64 random{7};
  core::id_source ids;
  std::uint64_t seq = 0;
  std::optional<partition> box;
};

outgoing mail_of(std::size_t n) {
  outgoing m;
  m.topic = "bench";
  m.payload = core::bytes::copy(std::string(n, 'x'));
  return m;
}

/// Lives of a message of so many bytes, in RAM.
void life_in_ram(benchmark::State& state) {
  bench_box b{nullptr};
  const auto mail = mail_of(static_cast<std::size_t>(state.range(0)));
  for (auto _ : state) {
    const auto now = wall.now();
    (void)b.box->send(outgoing{mail}, now, 0);
    auto got = b.box->receive("bench", {.messages = 1}, 60s, now);
    benchmark::DoNotOptimize(b.box->ack("bench", {got.at(0).receipt}, now));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(life_in_ram)->Name("mailbox/life_ram")->Arg(128)->Arg(4'096);

/// Outcomes as the writer's thread tells them, for the thread that owns the partition.
class told {
public:
  void one() {
    std::lock_guard guard{mutex_};
    ++told_;
    changed_.notify_one();
  }
  void wait_for(std::uint64_t n) {
    std::unique_lock lock{mutex_};
    changed_.wait(lock, [&] { return told_ >= n; });
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t told_ = 0;
};

/// Lives of a message of 128 bytes, so many side by side: each step is written as a job of its own
/// and told of after its commit, as one request does it.
void life_on_disk(benchmark::State& state) {
  folder f;
  lmdb_journal_options o;
  o.path = f.path + "/mail";
  o.map_bytes = 4ull << 30;
  auto store = open_lmdb_journal(o, wall);
  if (!store)
    throw std::runtime_error(store.error().message);
  bench_box b{store->get()};
  told done;
  std::uint64_t jobs = 0;
  auto keep = [&] {
    ++jobs;
    (*store)->write(0, b.box->take_changes(), [&](const core::result<void>&) { done.one(); });
  };
  const auto side_by_side = static_cast<std::size_t>(state.range(0));
  const auto mail = mail_of(128);
  std::vector<admission> sent;
  std::vector<std::string> receipts;
  for (auto _ : state) {
    sent.clear();
    receipts.clear();
    for (std::size_t i = 0; i < side_by_side; ++i) {
      sent.push_back(*b.box->send(outgoing{mail}, wall.now(), 0));
      keep();
    }
    done.wait_for(jobs);
    for (const auto& a : sent)
      b.box->confirm(a, wall.now());
    for (std::size_t i = 0; i < side_by_side; ++i) {
      receipts.push_back(b.box->receive("bench", {.messages = 1}, 60s, wall.now()).at(0).receipt);
      keep();
    }
    done.wait_for(jobs);
    for (const auto& r : receipts) {
      b.box->ack("bench", {r}, wall.now());
      keep();
    }
    done.wait_for(jobs);
  }
  const auto s = (*store)->stats().writer;
  state.SetItemsProcessed(state.iterations() * state.range(0));
  state.counters["jobs_per_commit"]
    = static_cast<double>(s.jobs) / static_cast<double>(std::max<std::uint64_t>(1, s.commits));
  state.counters["commit_us"] = static_cast<double>(s.commit_time.count()) / 1e3
                                / static_cast<double>(std::max<std::uint64_t>(1, s.commits));
}
BENCHMARK(life_on_disk)->Name("mailbox/life_disk")->Arg(1)->Arg(64)->Arg(1'024)->UseRealTime();

/// Acknowledged sends alone, to be held against other queues' appends.
void send_on_disk(benchmark::State& state) {
  folder f;
  lmdb_journal_options o;
  o.path = f.path + "/mail";
  o.map_bytes = 4ull << 30;
  auto store = open_lmdb_journal(o, wall);
  if (!store)
    throw std::runtime_error(store.error().message);
  bench_box b{store->get()};
  told done;
  std::uint64_t jobs = 0;
  const auto side_by_side = static_cast<std::size_t>(state.range(0));
  const auto mail = mail_of(128);
  for (auto _ : state) {
    for (std::size_t i = 0; i < side_by_side; ++i) {
      if (!b.box->send(outgoing{mail}, wall.now(), 0)) { // full: what is sent is sent
        state.SkipWithError("full");
        return;
      }
      ++jobs;
      (*store)->write(0, b.box->take_changes(), [&](const core::result<void>&) { done.one(); });
    }
    done.wait_for(jobs);
    state.PauseTiming();
    if (b.box->messages() > 60'000)
      b.box->clear();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(send_on_disk)->Name("mailbox/send_disk")->Arg(1)->Arg(64)->Arg(1'024)->UseRealTime();

/// What a node with so many messages pays at its start, page by page as it does it.
void load_from_disk(benchmark::State& state) {
  folder f;
  lmdb_journal_options o;
  o.path = f.path + "/mail";
  o.map_bytes = 4ull << 30;
  auto store = open_lmdb_journal(o, wall);
  if (!store)
    throw std::runtime_error(store.error().message);
  bench_box b{store->get()};
  auto mail = mail_of(128);
  for (std::int64_t i = 0; i < state.range(0); ++i) {
    mail.topic = "topic " + std::to_string(i % 100);
    (void)b.box->send(outgoing{mail}, wall.now(), 0);
  }
  told done;
  (*store)->write(0, b.box->take_changes(), [&](const core::result<void>&) { done.one(); });
  done.wait_for(1);
  for (auto _ : state) {
    b.box->clear();
    for (read_place at; !at.done;) {
      auto page = (*store)->read({}, at);
      for (auto& m : page->mail)
        b.box->restore(std::move(m));
      at = std::move(page->next);
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(load_from_disk)->Name("mailbox/load")->Arg(100'000)->Unit(benchmark::kMillisecond);

} // namespace
