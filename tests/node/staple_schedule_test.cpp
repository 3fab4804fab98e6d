#include "node/staple_schedule.hpp"

#include <gtest/gtest.h>

namespace {

using namespace std::chrono_literals;
using ron::core::instant;
using ron::node::staple_schedule;

constexpr instant t0{std::chrono::hours{100}};
constexpr std::int64_t wall = 1'800'000'000;

TEST(StapleSchedule, AsksAtOnceAndOneAtATime) {
  staple_schedule s;
  EXPECT_TRUE(s.ask(t0));
  EXPECT_FALSE(s.ask(t0 + 1h)) << "the outcome is not known yet";
}

TEST(StapleSchedule, AsksAgainInTheMiddleOfTheLife) {
  staple_schedule s;
  ASSERT_TRUE(s.ask(t0));
  s.fetched(t0, wall, wall + 4 * 3'600);
  EXPECT_FALSE(s.ask(t0 + 2h - 1s));
  EXPECT_TRUE(s.ask(t0 + 2h));
}

TEST(StapleSchedule, WaitsBetweenAMinuteAndTwelveHours) {
  staple_schedule s;
  for (auto [until, wait] : {std::pair{wall + 10, std::chrono::seconds{60s}},
                             {wall - 10, 60s},
                             {wall + 30 * 86'400, 12h},
                             {std::int64_t{0}, 6h}}) {
    s.restart();
    ASSERT_TRUE(s.ask(t0));
    s.fetched(t0, wall, until);
    EXPECT_EQ(s.due(), t0 + wait) << until;
  }
}

TEST(StapleSchedule, FailuresAreRepeatedSoonThenLessAndLessOften) {
  staple_schedule s;
  auto now = t0;
  for (const auto wait : {60s, 120s, 240s, 480s, 960s, 1'920s, 3'600s, 3'600s}) {
    ASSERT_TRUE(s.ask(now));
    s.failed(now);
    EXPECT_EQ(s.due() - now, wait);
    now = s.due();
  }
  ASSERT_TRUE(s.ask(now));
  s.fetched(now, wall, wall + 86'400);
  now = s.due();
  ASSERT_TRUE(s.ask(now));
  s.failed(now);
  EXPECT_EQ(s.due() - now, 60s) << "a success forgives";
}

} // namespace
