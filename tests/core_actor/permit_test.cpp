#include "core/actor/permit.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

using namespace ron::core;

TEST(Permit, GivesItselfBack) {
  auto pool = permit_pool::make(1, 0);
  {
    auto p = pool->try_acquire();
    EXPECT_TRUE(p);
    EXPECT_FALSE(pool->try_acquire());
    auto q = std::move(p);
    EXPECT_FALSE(p); // NOLINT: moved from on purpose
    EXPECT_EQ(pool->in_use(), 1u);
  }
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST(Permit, AssignmentReleasesWhatWasHeld) {
  auto pool = permit_pool::make(2, 0);
  auto a = pool->try_acquire();
  a = pool->try_acquire();
  EXPECT_TRUE(a);
  EXPECT_EQ(pool->in_use(), 1u);
  a.release();
  a.release();
  EXPECT_EQ(pool->in_use(), 0u);
}

TEST(Permit, OutlivesEverythingElse) {
  permit p;
  {
    auto pool = permit_pool::make(1, 1);
    p = pool->try_acquire();
  }
  EXPECT_TRUE(p);
}

TEST(PermitPool, TheFastPathDoesNotOvertakeThoseWhoWait) {
  auto pool = permit_pool::make(1, 2);
  auto held = pool->try_acquire();
  permit p;
  EXPECT_EQ(pool->acquire_or_wait(p, work_step::first), permit_pool::admission::waits);
  held.release();
  EXPECT_FALSE(pool->try_acquire());
  EXPECT_TRUE(pool->must_wake());
  EXPECT_EQ(pool->acquire_or_wait(p, work_step::first), permit_pool::admission::waits)
      << "behind the first";
  EXPECT_TRUE(pool->grant_waiting());
}

TEST(PermitPool, ShedsOnlyWhenTheLineIsFull) {
  auto pool = permit_pool::make(1, 1);
  permit p;
  EXPECT_EQ(pool->acquire_or_wait(p, work_step::first), permit_pool::admission::granted);
  permit q;
  EXPECT_EQ(pool->acquire_or_wait(q, work_step::first), permit_pool::admission::waits);
  EXPECT_EQ(pool->acquire_or_wait(q, work_step::first), permit_pool::admission::full);
  pool->leave();
  EXPECT_EQ(pool->acquire_or_wait(q, work_step::first), permit_pool::admission::waits);
  EXPECT_EQ(pool->waiting(), 1u);
}

TEST(PermitPool, AFurtherStepWaitsWhereAFirstOneIsShed) {
  auto pool = permit_pool::make(1, 0);
  auto held = pool->try_acquire();
  permit p;
  EXPECT_EQ(pool->acquire_or_wait(p, work_step::first), permit_pool::admission::full);
  EXPECT_EQ(pool->acquire_or_wait(p, work_step::further), permit_pool::admission::waits);
  for (std::uint32_t i = 1; i < permit_pool::further_max; ++i)
    ASSERT_EQ(pool->acquire_or_wait(p, work_step::further), permit_pool::admission::waits);
  EXPECT_EQ(pool->acquire_or_wait(p, work_step::further), permit_pool::admission::full);
  EXPECT_EQ(pool->waiting(), permit_pool::further_max);
}

TEST(PermitPool, AReleaseWakesOnlyWhileSomebodyWaits) {
  auto pool = permit_pool::make(1, 1);
  int woken = 0;
  pool->on_free([&] { ++woken; });
  pool->try_acquire().release();
  EXPECT_EQ(woken, 0);
  auto held = pool->try_acquire();
  permit p;
  EXPECT_EQ(pool->acquire_or_wait(p, work_step::first), permit_pool::admission::waits);
  held.release();
  EXPECT_EQ(woken, 1);
}

TEST(PermitPool, FewerPermitsCallNobodyBack) {
  auto pool = permit_pool::make(2, 4);
  auto a = pool->try_acquire();
  auto b = pool->try_acquire();
  pool->set(1, 1);
  EXPECT_EQ(pool->in_use(), 2u);
  permit p;
  EXPECT_EQ(pool->acquire_or_wait(p, work_step::first), permit_pool::admission::waits);
  EXPECT_EQ(pool->acquire_or_wait(p, work_step::first), permit_pool::admission::full);
  a.release();
  EXPECT_FALSE(pool->grant_waiting()) << "one is out, and there is one";
  b.release();
  EXPECT_TRUE(pool->grant_waiting());
}

TEST(PermitPool, MorePermitsAreForThoseWhoWait) {
  auto pool = permit_pool::make(1, 1);
  auto held = pool->try_acquire();
  permit p;
  EXPECT_EQ(pool->acquire_or_wait(p, work_step::first), permit_pool::admission::waits);
  EXPECT_FALSE(pool->must_wake());
  pool->set(2, 2);
  EXPECT_TRUE(pool->must_wake());
  EXPECT_FALSE(pool->try_acquire()) << "it would overtake";
  EXPECT_TRUE(pool->grant_waiting());
  EXPECT_EQ(pool->permits(), 2u);
  pool->set(2, permit_pool::waiters_most + 1);
  EXPECT_EQ(pool->waiters_max(), permit_pool::waiters_most);
}

TEST(PermitPool, ManyThreadsNeverHoldMoreThanThereAre) {
  constexpr std::uint32_t permits = 3;
  auto pool = permit_pool::make(permits, 0);
  std::atomic<int> inside{0};
  std::atomic<int> most{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int granted = 0; granted < 20'000;) {
        auto p = pool->try_acquire();
        if (!p)
          continue;
        ++granted;
        int now = ++inside;
        int seen = most.load();
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
          // nop
        }
        --inside;
      }
    });
  for (auto& t : threads)
    t.join();
  EXPECT_LE(most.load(), static_cast<int>(permits));
  EXPECT_EQ(pool->in_use(), 0u);
}
