#include "core/actor/restart_policy.hpp"

#include <gtest/gtest.h>

using namespace std::chrono_literals;
using ron::core::instant;
using ron::core::restart_limits;
using ron::core::restart_policy;

TEST(RestartPolicy, BacksOffBetweenHalfAndAllOfADoublingPause) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    restart_policy p{{.base = 50ms, .cap = 300ms, .window = 60s, .deaths_max = 10}, seed};
    instant t{1h};
    for (auto longest : {50ms, 100ms, 200ms, 300ms, 300ms}) {
      auto pause = p.on_death(t += 1s);
      ASSERT_TRUE(pause);
      EXPECT_GE(*pause, longest / 2) << "seed " << seed;
      EXPECT_LE(*pause, longest) << "seed " << seed;
    }
  }
}

TEST(RestartPolicy, JitterDiffersBetweenSeeds) {
  restart_limits limits{.base = 1'000ms};
  restart_policy a{limits, 1};
  restart_policy b{limits, 2};
  EXPECT_NE(a.on_death(instant{1h}), b.on_death(instant{1h}));
}

TEST(RestartPolicy, GivesUpAtTheThirdDeathWithinAMinute) {
  restart_policy p{{}, 7};
  EXPECT_TRUE(p.on_death(instant{0s}));
  EXPECT_TRUE(p.on_death(instant{30s}));
  EXPECT_FALSE(p.on_death(instant{59s}));
}

TEST(RestartPolicy, ForgetsDeathsOlderThanTheWindow) {
  restart_policy p{{}, 7};
  for (int minute = 0; minute < 100; ++minute) {
    auto pause = p.on_death(instant{std::chrono::seconds{31 * minute}});
    ASSERT_TRUE(pause) << "one death every 31 s is at most two a minute";
    EXPECT_LE(*pause, 100ms) << "and does not count as a series";
    EXPECT_LE(p.deaths(), 2u);
  }
}
