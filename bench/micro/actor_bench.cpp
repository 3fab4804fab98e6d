// What the pieces of the actor vocabulary cost. A round is run inside the shard by actors; this
// thread only starts it and waits, so that its wake is spread over thousands of operations. CPU is
// that of the process: read it rather than the time on a machine that is not quiet.
#include "core/actor/actor.hpp"
#include "core/actor/directory.hpp"
#include "core/actor/semaphore.hpp"

#include <benchmark/benchmark.h>

#include <future>
#include <memory>
#include <vector>

using namespace ron;
using namespace std::chrono_literals;

namespace {

constexpr int round_size = 20'000;
const caf::duration no_timeout; // what a deadline costs is one of the questions here

struct bench_config : caf::actor_system_config {
  bench_config() {
    core::configure_actors(*this);
    set("scheduler.max-threads", std::size_t{1});
  }
};

struct bench_system {
  bench_config config;
  caf::actor_system system{config};
  core::shard& home = core::shards::of(system).at(0);
};

void set_items(benchmark::State& state, std::size_t per_round) {
  auto items = static_cast<double>(per_round) * static_cast<double>(state.iterations());
  state.counters["each"] = benchmark::Counter(
    items, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

// -- round trips -----------------------------------------------------------------------------

using pong_actor = caf::typed_actor<caf::replies_to<atom::get, int>::with<int>>;
struct pong_state {
  static constexpr const char* name = "bench.pong";
};
struct ping_state {
  static constexpr const char* name = "bench.ping";
  int left = round_size;
};

pong_actor::behavior_type bounded_pong(core::actor_self<pong_actor, pong_state>) {
  return {[](atom::get, int n) { return n + 1; }};
}
pong_actor::behavior_type plain_pong(pong_actor::stateful_pointer<pong_state>) {
  return {[](atom::get, int n) { return n + 1; }};
}

template <class Self, class Timeout>
void serve(Self self, pong_actor pong, Timeout timeout, std::promise<void>* done) {
  self->request(pong, timeout, atom::get_v, 1).then([=](int) {
    if (--self->state.left > 0)
      return serve(self, pong, timeout, done);
    core::end(pong);
    self->quit();
    done->set_value();
  });
}

template <class Self, class Pong, class Timeout>
void round_trip(benchmark::State& state, Pong make_pong, Timeout timeout) {
  bench_system s;
  for (auto _ : state) {
    std::promise<void> done;
    auto pong = core::spawn_on(s.home, {}, make_pong);
    core::spawn_on(s.home, {}, [&](Self self) { serve(self, pong, timeout, &done); });
    done.get_future().wait();
  }
  set_items(state, round_size);
}

using bounded_ping = core::dynamic_self<ping_state>;
using plain_ping = caf::stateful_actor<ping_state>*;

void request_bounded(benchmark::State& state) {
  round_trip<bounded_ping>(state, bounded_pong, no_timeout);
}
void request_plain(benchmark::State& state) {
  round_trip<plain_ping>(state, plain_pong, no_timeout);
}
void request_bounded_timeout(benchmark::State& state) {
  round_trip<bounded_ping>(state, bounded_pong, 5s);
}
BENCHMARK(request_plain)->Name("actor/request/plain CAF")->MeasureProcessCPUTime();
BENCHMARK(request_bounded)->Name("actor/request/bounded")->MeasureProcessCPUTime();
BENCHMARK(request_bounded_timeout)->Name("actor/request/5 s timeout")->MeasureProcessCPUTime();

// -- spawning --------------------------------------------------------------------------------

struct spawner_state {
  static constexpr const char* name = "bench.spawner";
  int left = round_size / 10;
};
pong_actor::behavior_type one_shot(core::actor_self<pong_actor, pong_state> self) {
  return {[self](atom::get, int n) {
    self->quit();
    return n;
  }};
}
void spawn_next(core::dynamic_self<spawner_state> self, std::promise<void>* done) {
  self->request(core::spawn_here(self, one_shot), 5s, atom::get_v, 1).then([=](int) {
    if (--self->state.left > 0)
      return spawn_next(self, done);
    self->quit();
    done->set_value();
  });
}
void spawn_request_quit(benchmark::State& state) {
  bench_system s;
  for (auto _ : state) {
    std::promise<void> done;
    core::spawn_on(s.home, {},
                   [&](core::dynamic_self<spawner_state> self) { spawn_next(self, &done); });
    done.get_future().wait();
  }
  set_items(state, round_size / 10);
}
BENCHMARK(spawn_request_quit)->Name("actor/spawn, request, quit")->MeasureProcessCPUTime();

// -- pieces ----------------------------------------------------------------------------------

void tag(benchmark::State& state) {
  auto message = caf::make_message(atom::get_v, 1);
  for (auto _ : state)
    benchmark::DoNotOptimize(core::message_tag::of(message));
}
BENCHMARK(tag)->Name("actor/message tag");

void fast_permit(benchmark::State& state) {
  auto pool = core::permit_pool::make(128, 256);
  for (auto _ : state)
    benchmark::DoNotOptimize(pool->try_acquire());
}
BENCHMARK(fast_permit)->Name("actor/permit, uncontended");

void role_lookup(benchmark::State& state) {
  bench_system s;
  auto table = core::role_table::make(s.system);
  auto pong = core::spawn_on(s.home, {}, bounded_pong);
  table->point(0, caf::actor_cast<caf::strong_actor_ptr>(pong));
  core::role_ref<pong_actor> role{table};
  for (auto _ : state) {
    std::promise<void> done;
    s.home.submit([&] {
      for (int i = 0; i < round_size; ++i)
        benchmark::DoNotOptimize(role.get());
      done.set_value();
    });
    done.get_future().wait();
  }
  set_items(state, round_size);
  core::end(pong);
}
BENCHMARK(role_lookup)->Name("actor/role_ref on its shard")->MeasureProcessCPUTime();

void submit_local(benchmark::State& state) {
  bench_system s;
  for (auto _ : state) {
    std::promise<void> done;
    s.home.submit([&] {
      for (int i = 0; i < round_size; ++i)
        s.home.submit([] {});
      s.home.submit([&] { done.set_value(); });
    });
    done.get_future().wait();
  }
  set_items(state, round_size);
}
BENCHMARK(submit_local)->Name("actor/submit on the shard")->MeasureProcessCPUTime();

void snapshot(benchmark::State& state) {
  bench_system s;
  std::vector<pong_actor> crowd;
  for (std::int64_t i = 0; i < state.range(0); ++i)
    crowd.push_back(core::spawn_on(s.home, {}, bounded_pong));
  for (auto _ : state)
    benchmark::DoNotOptimize(core::directory::instance().snapshot());
  for (auto& a : crowd)
    core::end(a);
}
BENCHMARK(snapshot)->Name("actor/directory snapshot")->Arg(1'000)->Arg(10'000);

} // namespace
