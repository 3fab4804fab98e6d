#include "core/actor/semaphore.hpp"

#include "support/actor_fixture.hpp"

#include <vector>

using namespace ron;
using namespace std::chrono_literals;
using core::ec;
using core::permit_grant;

namespace {

struct Semaphore : test::ActorFixture {
  using answer = std::shared_ptr<std::optional<core::result<permit_grant>>>;

  core::semaphore start(std::uint32_t permits, std::uint32_t waiters_max) {
    auto s = core::semaphore::start(system, "test.downstream", permits, waiters_max,
                                    [](auto&, auto&) { FAIL() << "gave up"; });
    own(s.supervisor());
    run();
    return s;
  }
  // Asks for a permit; the answer may come later.
  answer acquire(const core::semaphore& s, std::chrono::milliseconds patience = 1h) {
    auto a = std::make_shared<std::optional<core::result<permit_grant>>>();
    own(core::spawn_in(system, {}, [&, a](caf::event_based_actor* self) {
      self->request(s.here(), caf::infinite, atom::acquire_v, now() + patience,
                    core::work_step::first)
        .then([a](const permit_grant& g) { a->emplace(g); },
              [a](const caf::error& e) { a->emplace(std::unexpected{core::to_error(e)}); });
    }));
    run();
    return a;
  }
  static bool granted(const answer& a) { return a->has_value() && (*a)->has_value(); }
  static ec code(const answer& a) { return a->has_value() ? (*a)->error().code : ec::none; }
  static void release(const answer& a) { (*a)->value().held->release(); }
};

} // namespace

TEST_F(Semaphore, GrantsWhatThereIsThenALineThenBusy) {
  auto s = start(2, 1);
  auto a = acquire(s);
  auto b = acquire(s);
  auto c = acquire(s);
  auto d = acquire(s);
  EXPECT_TRUE(granted(a));
  EXPECT_TRUE(granted(b));
  EXPECT_FALSE(c->has_value());
  ASSERT_EQ(code(d), ec::busy);
  EXPECT_EQ((*d)->error().retry_after_ms, core::semaphore::shed_retry_ms);
  EXPECT_EQ(s.stats().in_use, 2u);
  EXPECT_EQ(s.stats().waiting, 1u);
  EXPECT_EQ(s.stats().shed, 1u);
  release(a);
  run();
  EXPECT_TRUE(granted(c));
  EXPECT_EQ(s.stats().waited, 1u);
  EXPECT_EQ(s.stats().waiting, 0u);
}

TEST_F(Semaphore, DefaultsToTwoPlacesToWaitPerPermit) {
  auto s = core::semaphore::start(system, "x", 5, [](auto&, auto&) {});
  own(s.supervisor());
  EXPECT_EQ(s.stats().waiters_max, 10u);
}

TEST_F(Semaphore, OtherFiguresHoldFromThenOn) {
  auto s = start(1, 1);
  auto a = acquire(s);
  auto b = acquire(s);
  EXPECT_EQ(code(acquire(s)), ec::busy);
  s.set(2);
  run();
  EXPECT_TRUE(granted(b)) << "it waited for the new one";
  std::vector<answer> line;
  for (int i = 0; i < 4; ++i)
    line.push_back(acquire(s));
  EXPECT_EQ(code(acquire(s)), ec::busy);
  EXPECT_EQ(s.stats().waiting, 4u) << "more than the line began with";
  s.set(1, 0);
  release(a);
  run();
  EXPECT_FALSE(line[0]->has_value()) << "one is still out";
  release(b);
  run();
  for (const auto& one : line) {
    ASSERT_TRUE(granted(one));
    release(one);
    run();
  }
  EXPECT_EQ(s.stats().in_use, 0u);
}

TEST_F(Semaphore, TheFastPathNeedsNoMessageButQueuesBehindNobody) {
  auto s = start(1, 4);
  auto p = s.try_acquire();
  EXPECT_TRUE(p);
  auto waiter = acquire(s);
  p.release();
  EXPECT_FALSE(s.try_acquire()) << "it would overtake";
  run();
  EXPECT_TRUE(granted(waiter));
  release(waiter);
  EXPECT_TRUE(s.try_acquire());
}

TEST_F(Semaphore, AWaiterIsToldWhenItsDeadlineComes) {
  auto s = start(1, 4);
  auto held = s.try_acquire();
  auto patient = acquire(s, 10s);
  auto hasty = acquire(s, 100ms);
  advance(99ms);
  EXPECT_FALSE(hasty->has_value());
  for (int i = 0; i < 3; ++i)
    advance(20ms); // the grain of the line's timer
  EXPECT_EQ(code(hasty), ec::downstream_timeout);
  EXPECT_FALSE(patient->has_value());
  EXPECT_EQ(s.stats().timed_out, 1u);
  EXPECT_EQ(s.stats().waiting, 1u);
  held.release();
  run();
  EXPECT_TRUE(granted(patient));
}

TEST_F(Semaphore, AnIdleLineHasNoTimer) {
  auto s = start(1, 4);
  auto held = s.try_acquire();
  auto waiter = acquire(s, 1s);
  held.release();
  run();
  advance(1s);
  EXPECT_FALSE(scheduler.has_pending_timeout());
}

TEST_F(Semaphore, AGrantThatNobodyTakesComesBack) {
  auto s = start(1, 4);
  auto held = s.try_acquire();
  auto asker = own(core::spawn_in(system, {}, [&](caf::event_based_actor* self) {
    self->request(s.here(), caf::infinite, atom::acquire_v, now() + 1h,
                  core::work_step::first)
      .then([](const permit_grant&) { FAIL() << "it has ended"; });
  }));
  run();
  auto next = acquire(s);
  core::end(asker, caf::exit_reason::kill);
  run();
  held.release();
  run();
  EXPECT_TRUE(granted(next));
}

TEST_F(Semaphore, WhoWaitsWhenItEndsIsTold) {
  auto s = start(1, 4);
  auto held = s.try_acquire();
  auto waiter = acquire(s);
  s.stop();
  run();
  EXPECT_EQ(code(waiter), ec::degraded);
  EXPECT_EQ(s.stats().waiting, 0u);
  EXPECT_FALSE(s.here());
  held.release();
  EXPECT_TRUE(s.try_acquire()) << "the permits themselves stay valid";
}

TEST_F(Semaphore, IsRestartedAndServesOn) {
  auto s = start(1, 4);
  auto held = s.try_acquire();
  auto waiter = acquire(s);
  core::end(s.here(), caf::exit_reason::kill);
  run();
  EXPECT_EQ(code(waiter), ec::degraded);
  advance(2s);
  auto again = acquire(s);
  held.release();
  run();
  EXPECT_TRUE(granted(again));
}

TEST_F(Semaphore, AnEmptyOneIsNoLimit) {
  core::semaphore none;
  EXPECT_FALSE(none);
  EXPECT_FALSE(none.try_acquire());
  EXPECT_FALSE(none.here());
  none.stop();
}
