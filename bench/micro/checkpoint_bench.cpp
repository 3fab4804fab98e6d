// What it costs to bring mail from the log into LMDB: the merge of its steps alone, and with all
// that a disk takes. An operation is a message of some 300 bytes; `cpu_ns` is of the whole process,
// with the kernel's part.
#include "core/store/environment.hpp"
#include "core/store/log_checkpoint.hpp"
#include "core/store/writer.hpp"
#include "mailbox/layout.hpp"
#include "micro/store_tools.hpp"

#include <benchmark/benchmark.h>

#include <ctime>
#include <future>
#include <memory>
#include <random>
#include <stdexcept>
#include <vector>

namespace {

using namespace ron;
using namespace ron::mailbox;
using bench::folder;
using bench::noise;
namespace lmdb = core::store;

/// What a mailbox's log has when a checkpoint is due.
constexpr std::size_t messages = 100'000;
constexpr std::size_t payload_bytes = 200;
constexpr std::size_t batch_messages = 64;

/// Batches of mail, each to one topic; the topics take turns.
class sender {
public:
  sender(std::size_t topics, bool idempotent) : idempotent_(idempotent) {
    for (std::size_t i = 0; i < topics; ++i)
      buckets_.push_back(static_cast<bucket>(random_() % buckets));
  }

  lmdb::log_steps batch() {
    lmdb::log_steps out;
    const layout::time_frame at{clock_};
    const auto in = buckets_[turn_++ % buckets_.size()];
    for (std::size_t i = 0; i < batch_messages; ++i) {
      layout::add_steps(out, mail(in), at);
      if (idempotent_)
        layout::add_steps(out, send(in), at);
    }
    layout::add_seq(out, seq_);
    return out;
  }
  lmdb::log_blocks log(std::size_t n) {
    std::vector<lmdb::log_steps> out;
    for (std::size_t i = 0; i < n; i += batch_messages)
      out.push_back(batch());
    return std::make_shared<const std::vector<lmdb::log_steps>>(std::move(out));
  }

private:
  keep_mail mail(bucket in) {
    return {in, ++seq_, "bench", &body_, {}};
  }
  keep_send send(bucket in) {
    keep_send s{in, {}, &remembered_};
    for (auto& b : s.slot)
      b = static_cast<std::uint8_t>(random_());
    return s;
  }

  bool idempotent_;
  std::mt19937_64 random_{7};
  core::system_clock clock_;
  mail_body body_{.id = "01KARQ5V7R0000000000000000",
                  .payload = core::bytes::copy(core::byte_view{noise(payload_bytes)}),
                  .key = {}, .attrs = {}};
  remembered_send remembered_{.caller = "somebody", .message_id = "01KARQ5V7R0000000000000000"};
  std::vector<bucket> buckets_;
  std::size_t turn_ = 0;
  std::uint64_t seq_ = 0;
};

double cpu_ns() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
}

/// The merge of the steps of so many topics.
void net(benchmark::State& state) {
  sender s{static_cast<std::size_t>(state.range(0)), state.range(1) != 0};
  const auto blocks = s.log(messages);
  std::vector<core::byte_view> payloads;
  for (const auto& b : *blocks)
    payloads.push_back(b.view());
  for (auto _ : state) {
    const lmdb::net_changes n{payloads, true};
    benchmark::DoNotOptimize(n.all().data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(messages));
}
BENCHMARK(net)->Name("checkpoint/net_changes")->ArgNames({"topics", "idempotent"})
  ->Args({1, 0})->Args({64, 0})->Args({1'000, 0})->Args({64, 1})->Unit(benchmark::kMillisecond);

/// Checkpoints one after the other into an environment that keeps all of it.
void checkpoint(benchmark::State& state) {
  folder f;
  lmdb::environment_options o;
  o.path = f.path + "/env";
  o.map_bytes = 16ull << 30;
  o.tables = layout::table_names();
  auto env = lmdb::environment::open(std::move(o));
  if (!env)
    throw std::runtime_error(env.error().message);
  lmdb::writer to{**env};
  sender s{static_cast<std::size_t>(state.range(0)), state.range(1) != 0};
  double cpu = 0;
  for (auto _ : state) {
    state.PauseTiming();
    lmdb::log_checkpoint::source from;
    from.blocks.push_back(s.log(messages));
    from.end_value = layout::seal;
    auto c = std::make_shared<lmdb::log_checkpoint>(std::move(from));
    state.ResumeTiming();
    const auto began = cpu_ns();
    std::promise<core::result<void>> over;
    c->run(**env, to, [&](core::result<void> r) { over.set_value(std::move(r)); });
    if (auto r = over.get_future().get(); !r)
      throw std::runtime_error(r.error().message);
    cpu += cpu_ns() - began;
  }
  const auto n = static_cast<double>(state.iterations()) * messages;
  state.counters["cpu_ns"] = cpu / n;
  state.counters["commits"] = static_cast<double>(to.stats().commits)
                              / static_cast<double>(state.iterations());
  if (const auto usage = (*env)->usage())
    state.counters["bytes"] = static_cast<double>(usage->used_bytes) / n;
}
BENCHMARK(checkpoint)->Name("checkpoint/mail")->ArgNames({"topics", "idempotent"})
  ->Args({1, 0})->Args({64, 0})->Args({1'000, 0})->Args({64, 1})
  ->Iterations(8)->UseRealTime()->Unit(benchmark::kMillisecond);

} // namespace
