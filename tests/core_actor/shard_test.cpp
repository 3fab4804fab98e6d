#include "support/actor_fixture.hpp"

#include <sys/resource.h>

#include <atomic>
#include <future>
#include <latch>
#include <mutex>
#include <vector>

using namespace ron;
using namespace std::chrono_literals;
using core::shard;

namespace {

using where_actor = caf::typed_actor<caf::replies_to<atom::get>::with<std::uint64_t>>;
struct where_state {
  static constexpr const char* name = "test.where";
};
using where_self = core::actor_self<where_actor, where_state>;

std::uint64_t here() {
  auto* s = shard::current();
  return s ? s->index() : 99;
}

where_actor::behavior_type make_where(where_self) {
  return {[](atom::get) { return here(); }};
}

where_actor::behavior_type make_parent(where_self self) {
  auto child = core::spawn_here(self, make_where);
  return {[self, child](atom::get) {
    auto promise = self->make_response_promise<std::uint64_t>();
    self->request(child, 5s, atom::get_v)
      .then([self, promise, child](std::uint64_t n) mutable {
        promise.deliver(n);
        core::end(child);
        self->quit();
      });
    return promise;
  }};
}

struct timer_state {
  static constexpr const char* name = "test.timer";
  int left = 20;
};
struct mute_state {
  static constexpr const char* name = "test.mute";
  std::vector<caf::response_promise> held;
};

struct Shard : test::AnyShards {};

} // namespace

TEST_P(Shard, AnActorRunsWhereItWasSpawned) {
  for (std::size_t i = 0; i < shards.size(); ++i) {
    auto a = spawn(i, make_where);
    for (int n = 0; n < 3; ++n)
      EXPECT_EQ(ask<std::uint64_t>(a, atom::get_v), i);
    EXPECT_EQ(core::directory::instance().get(a.id())->shard, i);
  }
}

TEST_P(Shard, ChildrenLiveWithTheirParent) {
  for (std::size_t i = 0; i < shards.size(); ++i)
    EXPECT_EQ(ask<std::uint64_t>(spawn(i, make_parent), atom::get_v), i);
}

TEST_P(Shard, RunsSubmittedJobsInOrderOnItsThread) {
  auto& s = shards.at(shards.size() - 1);
  std::vector<int> order;
  std::promise<void> done;
  EXPECT_EQ(shard::current(), nullptr);
  for (int i = 0; i < 1'000; ++i)
    EXPECT_TRUE(s.submit([&, i] {
      EXPECT_EQ(shard::current(), &s);
      order.push_back(i);
    }));
  s.submit([&] { done.set_value(); });
  done.get_future().wait();
  ASSERT_EQ(order.size(), 1'000u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST_P(Shard, JobsReachEveryOtherShard) {
  std::latch arrived{static_cast<std::ptrdiff_t>(shards.size() * shards.size())};
  for (std::size_t from = 0; from < shards.size(); ++from)
    shards.at(from).submit([&] {
      for (std::size_t to = 0; to < shards.size(); ++to)
        shards.at(to).submit([&, to] {
          EXPECT_EQ(here(), to);
          arrived.count_down();
        });
    });
  arrived.wait();
}

TEST_P(Shard, RefusesJobsBeyondItsBound) {
  auto& s = shards.at(0);
  std::promise<void> open;
  auto gate = open.get_future().share();
  s.submit([gate] { gate.wait(); }); // the one job that runs; it counts until it ends
  std::size_t taken = 1;
  while (s.submit([] {}))
    ++taken;
  EXPECT_EQ(taken, shard::jobs_max);
  open.set_value();
  EXPECT_TRUE(test::eventually([&] { return s.submit([] {}); }));
}

TEST_P(Shard, DefersToTheEndOfTheTurn) {
  auto& s = shards.at(0);
  std::vector<std::string> log;
  std::promise<void> done;
  s.submit([&] {
    s.defer([&] {
      log.emplace_back("end of turn");
      s.defer([&] { done.set_value(); }); // the next turn's
    });
    s.submit([&] { log.emplace_back("ready one"); });
    s.submit([&] { log.emplace_back("ready two"); });
  });
  done.get_future().wait();
  EXPECT_EQ(log, (std::vector<std::string>{"ready one", "ready two", "end of turn"}));
}

TEST_P(Shard, TimersFireOnTheActorsShard) {
  std::promise<std::uint64_t> fired;
  auto fun = [&](core::dynamic_self<timer_state> self) -> caf::behavior {
    self->delayed_send(self, 5ms, atom::tick_v);
    return {[&](atom::tick) { fired.set_value(here()); }};
  };
  auto last = shards.size() - 1;
  own(core::spawn_on(shards.at(last), {}, fun));
  EXPECT_EQ(fired.get_future().get(), last);
}

TEST_P(Shard, ARequestFromAForeignThreadTimesOut) {
  auto fun = [](core::dynamic_self<mute_state> self) -> caf::behavior {
    return {[self](atom::get) { self->state.held.push_back(self->make_response_promise()); }};
  };
  auto a = own(core::spawn_on(shards.at(0), {}, fun));
  caf::scoped_actor self{system};
  core::ec code{};
  self->request(a, 10ms, atom::get_v)
    .receive([](int) {}, [&](const caf::error& e) { code = core::to_error(e).code; });
  EXPECT_EQ(code, core::ec::downstream_timeout);
}

// -- fairness and idleness -------------------------------------------------------------

namespace {

struct pong_state {
  static constexpr const char* name = "test.pong";
};
caf::behavior make_pong(core::dynamic_self<pong_state>) {
  return {[](int n) { return n + 1; }};
}
struct ping_state {
  static constexpr const char* name = "test.ping";
};
void serve_ball(core::dynamic_self<ping_state> self, caf::actor pong) {
  self->request(pong, 30s, 1).then([=](int) { serve_ball(self, pong); },
                                   [](const caf::error&) {});
}
caf::behavior make_ping(core::dynamic_self<ping_state> self, caf::actor pong) {
  serve_ball(self, pong);
  return {[](atom::tick) {}};
}

} // namespace

TEST_P(Shard, PairsThatNeverPauseDoNotStarveAThird) {
  for (std::size_t i = 0; i < shards.size(); ++i)
    for (int pair = 0; pair < 4; ++pair)
      spawn(i, make_ping, spawn(i, make_pong));
  for (std::size_t i = 0; i < shards.size(); ++i) {
    auto third = spawn(i, make_where);
    for (int n = 0; n < 200; ++n)
      ASSERT_EQ(ask<std::uint64_t>(third, atom::get_v), i) << "within the request's 20 s";
  }
}

TEST_P(Shard, PairsThatNeverPauseDoNotStarveTimers) {
  spawn(0, make_ping, spawn(0, make_pong));
  std::promise<void> done;
  auto fun = [&](core::dynamic_self<timer_state> self) -> caf::behavior {
    self->delayed_send(self, 1ms, atom::tick_v);
    return {[&, self](atom::tick) {
      if (--self->state.left == 0)
        done.set_value();
      else
        self->delayed_send(self, 1ms, atom::tick_v);
    }};
  };
  own(core::spawn_on(shards.at(0), {}, fun));
  EXPECT_EQ(done.get_future().wait_for(20s), std::future_status::ready);
}

TEST_P(Shard, AnIdleShardSleepsInTheKernel) {
  spawn(0, make_where);
  auto sleeping = [&] {
    for (std::size_t i = 0; i < shards.size(); ++i) {
      auto a = shards.at(i).stats();
      if (a.sleeps == 0 || a.ready != 0)
        return false;
    }
    return true;
  };
  ASSERT_TRUE(test::eventually(sleeping));
  // Turns of the loop are the measure: they do not depend on how fast the machine is. The window is
  // a timer of the kernel, not of the shards.
  auto turns = [&] {
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < shards.size(); ++i)
      n += shards.at(i).stats().turns;
    return n;
  };
  rusage before{}, after{};
  auto turns_before = turns();
  ::getrusage(RUSAGE_SELF, &before);
  std::promise<void> never;
  never.get_future().wait_for(300ms);
  ::getrusage(RUSAGE_SELF, &after);
  EXPECT_LE(turns() - turns_before, 4u);
  auto cpu_us = [](const rusage& r) {
    return (r.ru_utime.tv_sec + r.ru_stime.tv_sec) * 1'000'000L + r.ru_utime.tv_usec
           + r.ru_stime.tv_usec;
  };
  EXPECT_LT(cpu_us(after) - cpu_us(before), 100'000) << "a spinning thread would use 300,000";
  EXPECT_LT(after.ru_nvcsw - before.ru_nvcsw, 100);
}

INSTANTIATE_TEST_SUITE_P(On, Shard, ::testing::Values(1, 2, 3));
