#include "core/actor/semaphore_actor.hpp"

#include "support/actor_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <deque>
#include <latch>
#include <random>
#include <vector>

using namespace ron;
using namespace std::chrono_literals;
using core::ec;
using core::permit_grant;

namespace {

// Several lines on the test scheduler, whose order of execution the test decides.
struct SemaphoreProperty : test::ActorFixture {
  static constexpr std::size_t lines = 3;

  void start(std::uint32_t permits, std::uint32_t waiters_max) {
    for (std::size_t i = 0; core && i < lines; ++i) // those of the seed before
      core::end(core->lines->at(i));
    run();
    granted.clear();
    refused.clear();
    core = std::make_shared<core::semaphore::core>(core::role_table::make(system, lines), permits,
                                                   waiters_max);
    core->listen();
    for (std::size_t i = 0; i < lines; ++i)
      core->lines->point(i, caf::actor_cast<caf::strong_actor_ptr>(
                              spawn(core::make_semaphore, core, i)));
    run();
  }

  void acquire(std::size_t line, std::chrono::milliseconds patience, int id) {
    auto to = caf::actor_cast<core::semaphore_actor>(core->lines->at(line));
    own(core::spawn_in(system, {}, [=, this](caf::event_based_actor* self) {
      self->request(to, caf::infinite, atom::acquire_v, now() + patience,
                    core::work_step::first)
        .then([=, this](const permit_grant& g) { granted.emplace_back(id, g); },
              [=, this](const caf::error& e) { refused.emplace_back(id, core::to_error(e).code); });
    }));
  }

  // Runs the jobs that are ready, and those they cause, in random order.
  void run_shuffled(std::mt19937_64& random) {
    while (!scheduler.jobs.empty()) {
      auto n = std::uniform_int_distribution<std::size_t>{0, scheduler.jobs.size() - 1}(random);
      std::swap(scheduler.jobs.front(), scheduler.jobs[n]);
      scheduler.run_once();
      ASSERT_LE(core->pool->in_use(), core->pool->permits());
    }
  }

  std::shared_ptr<core::semaphore::core> core;
  std::vector<std::pair<int, permit_grant>> granted;
  std::vector<std::pair<int, ec>> refused;
};

int pick(std::mt19937_64& random, int below) {
  return std::uniform_int_distribution{0, below - 1}(random);
}

} // namespace

// One step at a time: the semaphore does exactly what one queue with one counter would do.
TEST_F(SemaphoreProperty, ActsLikeOneQueueOverAllLines) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    const auto permits = static_cast<std::size_t>(1 + pick(random, 4));
    const auto places = static_cast<std::size_t>(pick(random, 6));
    start(static_cast<std::uint32_t>(permits), static_cast<std::uint32_t>(places));
    std::deque<int> model_line;
    std::vector<int> model_granted;
    std::size_t model_held = 0;
    std::size_t model_shed = 0;
    for (int id = 0; id < 120; ++id) {
      if (pick(random, 5) < 3) {
        acquire(static_cast<std::size_t>(pick(random, lines)), 1h, id);
        if (model_held < permits) {
          ++model_held;
          model_granted.push_back(id);
        } else if (model_line.size() < places) {
          model_line.push_back(id);
        } else {
          ++model_shed;
        }
      } else if (model_held > 0) {
        auto held = std::ranges::find_if(granted, [](auto& g) { return bool{*g.second.held}; });
        ASSERT_NE(held, granted.end());
        held->second.held->release();
        --model_held;
        if (!model_line.empty()) {
          ++model_held;
          model_granted.push_back(model_line.front());
          model_line.pop_front();
        }
      }
      run_shuffled(random);
      std::vector<int> ids;
      for (auto& g : granted)
        ids.push_back(g.first);
      ASSERT_EQ(ids, model_granted) << "oldest first, over all lines";
      ASSERT_EQ(refused.size(), model_shed) << "nobody is refused while there is room";
      ASSERT_EQ(core->pool->in_use(), model_held);
      ASSERT_EQ(core->pool->waiting(), model_line.size());
    }
  }
}

// Many steps in the air at once, deadlines, lines that die: it never gives too much, it answers
// everybody, and in the end nobody waits while there is room.
TEST_F(SemaphoreProperty, KeepsItsPromisesInAnyOrderOfEvents) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    start(static_cast<std::uint32_t>(1 + pick(random, 4)),
          static_cast<std::uint32_t>(pick(random, 8)));
    int sent = 0;
    for (int round = 0; round < 60; ++round) {
      for (int n = pick(random, 6); n > 0; --n)
        acquire(static_cast<std::size_t>(pick(random, lines)),
                std::chrono::milliseconds{1 + pick(random, 200)}, sent++);
      for (auto& g : granted)
        if (pick(random, 3) == 0)
          g.second.held->release();
      if (pick(random, 4) == 0)
        scheduler.clock().advance_time(std::chrono::milliseconds{pick(random, 60)});
      if (pick(random, 30) == 0) {
        auto slot = static_cast<std::size_t>(pick(random, lines));
        core::end(core->lines->at(slot), caf::exit_reason::kill);
        run_shuffled(random);
        core->lines->point(slot, caf::actor_cast<caf::strong_actor_ptr>(
                                   spawn(core::make_semaphore, core, slot)));
      }
      run_shuffled(random);
      const bool room = core->pool->in_use() < core->pool->permits();
      ASSERT_TRUE(!room || core->pool->waiting() == 0) << "room, and somebody waits";
    }
    for (auto& g : granted)
      g.second.held->release();
    for (int i = 0; i < 30; ++i) {
      run_shuffled(random);
      for (auto& g : granted)
        g.second.held->release();
      scheduler.clock().advance_time(20ms);
    }
    EXPECT_EQ(granted.size() + refused.size(), static_cast<std::size_t>(sent));
    EXPECT_EQ(core->pool->in_use(), 0u);
    EXPECT_EQ(core->pool->waiting(), 0u);
  }
}

// -- real threads --------------------------------------------------------------------------

namespace {

struct stress_tally {
  explicit stress_tally(int clients) : done(clients) {}
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::atomic<int> granted{0};
  std::atomic<int> busy{0};
  std::atomic<int> other{0};
  std::latch done;
};

struct client_state {
  static constexpr const char* name = "test.client";
  std::mt19937_64 random;
  int left = 0;
};
using client_self = core::dynamic_self<client_state>;

void next_acquire(client_self self, core::semaphore s, stress_tally* t);

// Holds the permit for nothing, some messages, or a little time, here or on another shard.
void hold(client_self self, permit_grant grant, core::semaphore s, stress_tally* t) {
  auto let_go = [=] {
    --t->inside;
    grant.held->release();
  };
  switch (pick(self->state.random, 4)) {
    case 0:
      let_go();
      break;
    case 1:
      core::shards::of(self->system()).next().submit(let_go);
      break;
    case 2:
      self->request(caf::actor_cast<caf::actor>(self), 5s, atom::ping_v).then([=] { let_go(); });
      break;
    default:
      self->home().defer(let_go);
  }
  next_acquire(self, s, t);
}

void next_acquire(client_self self, core::semaphore s, stress_tally* t) {
  if (self->state.left-- == 0) {
    t->done.count_down();
    return;
  }
  self->request(s.here(), 60s, atom::acquire_v, self->clock().now() + 60s,
                core::work_step::first)
    .then(
      [=](const permit_grant& grant) {
        ++t->granted;
        int now = ++t->inside;
        int seen = t->most.load();
        while (seen < now && !t->most.compare_exchange_weak(seen, now)) {
          // nop
        }
        hold(self, grant, s, t);
      },
      [=](const caf::error& e) {
        ++(core::to_error(e).code == ec::busy ? t->busy : t->other);
        next_acquire(self, s, t);
      });
}

caf::behavior make_client(client_self self, core::semaphore s, stress_tally* t, int requests,
                          std::uint64_t seed) {
  self->state.random.seed(seed);
  self->state.left = requests;
  next_acquire(self, s, t);
  return {[](atom::ping) {}};
}

struct SemaphoreStress : test::AnyShards {
  void run(std::uint32_t permits, std::uint32_t places, int clients, int requests,
           stress_tally& t) {
    auto seed = std::random_device{}();
    RecordProperty("seed", std::to_string(seed));
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto s = core::semaphore::start(system, "test", permits, places, [](auto&, auto&) {});
    own(s.supervisor());
    ASSERT_TRUE(test::eventually([&] { return s.ready(); }));
    for (int i = 0; i < clients; ++i)
      spawn(static_cast<std::size_t>(i) % shards.size(), make_client, s, &t, requests,
            seed + static_cast<std::uint64_t>(i));
    t.done.wait();
    EXPECT_LE(t.most.load(), static_cast<int>(permits));
    EXPECT_EQ(t.granted + t.busy, clients * requests);
    EXPECT_EQ(t.other, 0);
    EXPECT_TRUE(test::eventually([&] { return s.stats().in_use == 0; }));
    EXPECT_EQ(s.stats().waiting, 0u);
  }
};

} // namespace

TEST_P(SemaphoreStress, NobodyIsRefusedWhileThereIsRoom) {
  // Each client has one request at a time: the line never holds more than eight.
  stress_tally t{8};
  run(4, 12, 8, 2'000, t);
  EXPECT_EQ(t.busy, 0);
}

TEST_P(SemaphoreStress, UnderOverloadEverybodyIsAnswered) {
  stress_tally t{24};
  run(2, 4, 24, 1'000, t);
  EXPECT_GT(t.granted, 0);
  EXPECT_GT(t.busy, 0);
}

INSTANTIATE_TEST_SUITE_P(On, SemaphoreStress, ::testing::Values(1, 2, 3));
