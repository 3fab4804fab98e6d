#include "core/clock.hpp"

#include <gtest/gtest.h>

namespace ron::core {
namespace {

using namespace std::chrono_literals;

TEST(Deadline, RemainingIsRoundedDownAndNeverNegative) {
  instant now{1h};
  EXPECT_EQ(remaining_ms(now + 1500us, now), 1u);
  EXPECT_EQ(remaining_ms(now + 999us, now), 0u);
  EXPECT_EQ(remaining_ms(now, now), 0u);
  EXPECT_EQ(remaining_ms(now - 5s, now), 0u);
  EXPECT_EQ(remaining_ms(now + 5s, now), 5000u);
}

TEST(Deadline, SaturatesInsteadOfOverflowing) {
  instant now{1h};
  EXPECT_EQ(deadline_after(now, 250ms), now + 250ms);
  EXPECT_EQ(deadline_after(now, 0ms), now);
  EXPECT_EQ(deadline_after(now, -1ms), now);
  EXPECT_EQ(deadline_after(now, std::chrono::milliseconds::max()), instant::max());
  EXPECT_GT(remaining_ms(instant::max(), now), 0u);
}

TEST(Deadline, ALegEndsWithItsCapOrWithTheWhole) {
  instant now{1h};
  EXPECT_EQ(leg_deadline(now + 1s, now, 250ms), now + 250ms);
  EXPECT_EQ(leg_deadline(now + 100ms, now, 250ms), now + 100ms);
  EXPECT_EQ(leg_deadline(now - 1ms, now, 250ms), now - 1ms);
}

TEST(ManualClock, MovesByHandAlone) {
  manual_clock c{1'000};
  auto steady = c.now();
  auto boot = c.boot_now();
  c.advance(5s);
  EXPECT_EQ(c.now() - steady, 5s);
  EXPECT_EQ(c.boot_now() - boot, 5s);
  EXPECT_EQ(c.wall_ms(), 6'000);
}

TEST(ManualClock, TheMonotonicClockStandsWhileTheMachineSleeps) {
  manual_clock c{0};
  auto steady = c.now();
  auto boot = c.boot_now();
  c.suspend(1h);
  EXPECT_EQ(c.now(), steady);
  EXPECT_EQ(c.boot_now() - boot, 1h);
  EXPECT_EQ(c.wall_ms(), 3'600'000);
}

TEST(SystemClock, GoesOnAndKnowsTheCentury) {
  system_clock c;
  auto steady = c.now();
  auto boot = c.boot_now();
  EXPECT_GE(c.now(), steady);
  EXPECT_GE(c.boot_now(), boot);
  EXPECT_GT(c.wall_ms(), 1'600'000'000'000);
}

TEST(WallStep, ReportsAStepOverAMinuteOnce) {
  manual_clock c;
  wall_step_detector d{c};
  c.advance(10min);
  EXPECT_FALSE(d.observe(c));
  c.set_wall_ms(c.wall_ms() + 400 * 86'400'000ll);
  EXPECT_EQ(d.observe(c), std::chrono::milliseconds{400 * 86'400'000ll});
  EXPECT_FALSE(d.observe(c));
  c.set_wall_ms(c.wall_ms() - 60'001);
  EXPECT_EQ(d.observe(c), -60'001ms);
}

TEST(WallStep, IgnoresSmallCorrectionsAndSleep) {
  manual_clock c;
  wall_step_detector d{c};
  c.set_wall_ms(c.wall_ms() + 60'000);
  EXPECT_FALSE(d.observe(c));
  c.suspend(24h);
  EXPECT_FALSE(d.observe(c));
  c.set_wall_ms(c.wall_ms() + 1); // together they are over the tolerance
  EXPECT_EQ(d.observe(c), 60'001ms);
}

} // namespace
} // namespace ron::core
