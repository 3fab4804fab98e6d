// Our actors on shards against plain CAF with work stealing: the same actors, the same messages,
// alternating in one process. One JSON line per case on stdout, progress on stderr.
#include "core/actor/actor.hpp"
#include "peers/pairs.hpp"

#include <caf/scoped_actor.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <future>
#include <string>
#include <thread>
#include <utility>
#include <vector>

using namespace ron;
using namespace std::chrono_literals;
using bench::sample;
using clock_type = std::chrono::steady_clock;

namespace {

// -- the two sides -----------------------------------------------------------------------------

struct ours {
  struct config : caf::actor_system_config {
    config() {
      core::configure_actors(*this);
    }
  };
  template <class State>
  using self = core::dynamic_self<State>;
  template <class F, class... Ts>
  static caf::actor spawn(caf::actor_system& system, F fun, Ts... args) {
    return core::spawn_on(core::shards::of(system).at(0), {}, fun, std::move(args)...);
  }
};

struct theirs {
  struct config : caf::actor_system_config {
    config() {
      set("scheduler.policy", caf::atom("stealing"));
      set("scheduler.max-threads", std::size_t{std::max(1u, std::thread::hardware_concurrency())});
    }
  };
  template <class State>
  using self = caf::stateful_actor<State>*;
  template <class F, class... Ts>
  static caf::actor spawn(caf::actor_system& system, F fun, Ts... args) {
    return system.spawn(fun, std::move(args)...);
  }
};

// -- request round trip --------------------------------------------------------------------------

struct pong_state {
  static constexpr const char* name = "bench.pong";
};
struct ping_state {
  static constexpr const char* name = "bench.ping";
  std::uint64_t done = 0;
};

template <class Side>
caf::behavior make_pong(typename Side::template self<pong_state>, int) {
  return {[](atom::get, int n) {
    return n + 1;
  }};
}

template <class Self>
void serve(Self self, const caf::actor& pong, caf::duration timeout, clock_type::time_point end,
           std::promise<double>* result) {
  self->request(pong, timeout, atom::get_v, 1).then([=](int) {
    // The clock is read every 64 rounds.
    if (++self->state.done % 64 != 0 || clock_type::now() < end)
      return serve(self, pong, timeout, end, result);
    result->set_value(static_cast<double>(self->state.done));
    self->quit();
  });
}

clock_type::time_point after(double seconds) {
  std::chrono::duration<double> d{seconds};
  return clock_type::now() + std::chrono::duration_cast<clock_type::duration>(d);
}

template <class Side>
caf::behavior make_ping(typename Side::template self<ping_state> self, caf::actor pong,
                        caf::duration timeout, clock_type::time_point end,
                        std::promise<double>* result) {
  serve(self, pong, timeout, end, result);
  return {[](atom::tick) {
  }};
}

template <class Side>
sample round_trip(double seconds, caf::duration timeout) {
  typename Side::config config;
  caf::actor_system system{config};
  auto pong = Side::spawn(system, make_pong<Side>, 0);
  auto s = bench::measure([&] {
    std::promise<double> result;
    Side::spawn(system, make_ping<Side>, pong, timeout, after(seconds), &result);
    return result.get_future().get();
  });
  core::end(pong);
  return s;
}

// -- frames through an actor boundary, one message per read
// ----------------------------------------

constexpr std::size_t frame_bytes = 64;
constexpr std::size_t frames_per_read = core::limits::read_buffer_bytes / frame_bytes;

struct consumer_state {
  static constexpr const char* name = "bench.consumer";
  std::uint64_t frames = 0;
  std::uint64_t sum = 0;
};

template <class Side>
caf::behavior make_consumer(typename Side::template self<consumer_state> self, int) {
  return {[self](const std::vector<core::bytes>& batch) {
    for (const auto& frame : batch)
      self->state.sum += frame.data()[0] + frame.size();
    self->state.frames += batch.size();
    return self->state.frames;
  }};
}

// One read of a socket: a slab with as many frames as fit, cut into views.
std::vector<core::bytes> one_read(const core::slab& slab) {
  std::vector<core::bytes> batch;
  batch.reserve(frames_per_read);
  for (std::size_t i = 0; i < frames_per_read; ++i)
    batch.push_back(slab.cut(i * frame_bytes, frame_bytes));
  return batch;
}

template <class Self>
void feed(Self self, const caf::actor& consumer, std::shared_ptr<core::slab> slab,
          clock_type::time_point end, std::promise<double>* result) {
  self->request(consumer, caf::duration{5s}, one_read(*slab)).then([=](std::uint64_t frames) {
    if (clock_type::now() < end)
      return feed(self, consumer, slab, end, result);
    result->set_value(static_cast<double>(frames));
    self->quit();
  });
}

template <class Side>
caf::behavior make_producer(typename Side::template self<ping_state> self, caf::actor consumer,
                            clock_type::time_point end, std::promise<double>* result) {
  auto slab = std::make_shared<core::slab>(core::limits::read_buffer_bytes);
  std::ranges::fill(slab->room(), std::uint8_t{1});
  slab->commit(core::limits::read_buffer_bytes);
  feed(self, consumer, slab, end, result);
  return {[](atom::tick) {
  }};
}

template <class Side>
sample frames(double seconds) {
  typename Side::config config;
  caf::actor_system system{config};
  auto consumer = Side::spawn(system, make_consumer<Side>, 0);
  auto s = bench::measure([&] {
    std::promise<double> result;
    Side::spawn(system, make_producer<Side>, consumer, after(seconds), &result);
    return result.get_future().get();
  });
  core::end(consumer);
  return s;
}

// -- doing nothing
// ---------------------------------------------------------------------------------

template <class Side>
sample idle(double seconds) {
  typename Side::config config;
  caf::actor_system system{config};
  std::vector<caf::actor> crowd;
  for (int i = 0; i < 100; ++i)
    crowd.push_back(Side::spawn(system, make_pong<Side>, 0));
  caf::scoped_actor self{system};
  for (auto& a : crowd) // all have started
    self->request(a, 5s, atom::get_v, 1).receive([](int) {}, [](const caf::error&) {});
  auto s = bench::measure([&] {
    std::promise<void> never;
    never.get_future().wait_for(std::chrono::duration<double>{seconds});
    return 0.0;
  });
  for (auto& a : crowd)
    core::end(a);
  return s;
}

// -- cases ---------------------------------------------------------------------------------------

std::vector<bench::pair_case> cases(double seconds) {
  auto percent = [](const sample& s) { return s.cpu * 100 / s.seconds; };
  auto below_1us = [](double x, double) { return x <= 1'000; };
  auto above_10m = [](double x, double) { return x >= 10e6; };
  auto below_half_percent = [](double x, double) { return x < 0.5; };
  const caf::duration timeout{5s};
  const caf::duration none; // what a deadline costs is one of the questions here
  const std::string peer = "plain CAF 0.17.6, work stealing";
  return {
    {"request round trip on one shard", peer, "ns", "<= 1000",
     [=] { return round_trip<ours>(seconds, none); },
     [=] { return round_trip<theirs>(seconds, none); }, bench::nanoseconds, true, below_1us,
     bench::cpu_nanoseconds, {}},
    {"request round trip with a 5 s timeout", peer, "ns", "<= 1000",
     [=] { return round_trip<ours>(seconds, timeout); },
     [=] { return round_trip<theirs>(seconds, timeout); }, bench::nanoseconds, true, below_1us,
     bench::cpu_nanoseconds, {}},
    {"64 byte frames in batches of one 128 KiB read", peer, "frames/s", ">= 10000000",
     [=] { return frames<ours>(seconds); }, [=] { return frames<theirs>(seconds); },
     bench::per_second, false, above_10m, bench::cpu_nanoseconds, {}},
    {"idle, 100 actors", peer, "% CPU", "< 0.5", [=] { return idle<ours>(seconds); },
     [=] { return idle<theirs>(seconds); }, percent, true, below_half_percent, percent, {}},
  };
}

} // namespace

int main(int argc, char** argv) {
  return bench::pairs_main(argc, argv, "actor", cases);
}
