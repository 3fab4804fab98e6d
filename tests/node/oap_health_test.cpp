#include "node/oap_health.hpp"

#include <gtest/gtest.h>

namespace {

using namespace ron::node;
using namespace std::chrono_literals;

/// A machine, its clock and what the connections count, moved on by steps of 250 ms.
struct OapHealth : ::testing::Test {
  oap_health_limits limits;
  std::optional<oap_health> machine;
  oap_sample now_is;
  ron::core::instant now{1h};

  /// Lets `time` pass with `frames` and `rejects` in each step.
  void pass(std::chrono::milliseconds time, std::uint64_t frames = 0, std::uint64_t rejects = 0) {
    if (!machine)
      machine.emplace(limits);
    for (auto left = time; left > 0ms; left -= 250ms) {
      now += 250ms;
      now_is.frames += frames;
      now_is.rejects += rejects;
      machine->sample(now_is, now);
    }
  }
  void starve(std::uint64_t starved, std::uint64_t of) {
    now_is.starved = starved;
    now_is.streams = of;
  }
};

TEST(SlidingSum, ForgetsAfterItsWindow) {
  sliding_sum sum{60s};
  ron::core::instant t{1h};
  sum.add(5, t);
  sum.add(2, t + 59s);
  EXPECT_EQ(sum.sum(), 7u);
  sum.add(0, t + 60s);
  EXPECT_EQ(sum.sum(), 2u);
  sum.add(1, t + 10min);
  EXPECT_EQ(sum.sum(), 1u);
  sum.add(1, t + 10min + 61s);
  EXPECT_EQ(sum.sum(), 1u);
}

TEST_F(OapHealth, IsWellWhenNothingHappens) {
  pass(10min);
  EXPECT_TRUE(machine->reject_rate_ok() && machine->ack_window_ok() && machine->backpressure_ok());
  EXPECT_EQ(machine->reject_ratio(), 0.0);
  for (auto p : {oap_page::decode, oap_page::rejects, oap_page::starvation})
    EXPECT_FALSE(machine->pages(p));
}

TEST_F(OapHealth, HalfAPercentOfBadFramesIsTooMuch) {
  pass(30s, 1'000, 4); // 0.4 %
  EXPECT_TRUE(machine->reject_rate_ok());
  pass(60s, 1'000, 6);
  EXPECT_FALSE(machine->reject_rate_ok());
  EXPECT_NEAR(machine->reject_ratio(), 0.006, 0.0005);
  pass(59s, 1'000, 0);
  pass(2s, 1'000, 0);
  EXPECT_TRUE(machine->reject_rate_ok()) << "the window has passed";
}

TEST_F(OapHealth, AFewBadFramesOnAQuietNodeSayNothing) {
  now_is.rejects = limits.rejects_least - 1;
  pass(250ms, 1);
  EXPECT_TRUE(machine->reject_rate_ok());
  now_is.rejects += 1;
  pass(250ms, 1);
  EXPECT_FALSE(machine->reject_rate_ok());
}

TEST_F(OapHealth, ASpikeOfOversizeDegradesAtOnceWhateverItsShare) {
  pass(10s, 1'000'000);
  now_is.oversize += limits.oversize_max;
  now_is.rejects += limits.oversize_max;
  pass(250ms, 1'000'000);
  EXPECT_FALSE(machine->reject_rate_ok());
}

TEST_F(OapHealth, StarvationTurnsTheKeyAfterFiveSecondsAndBack) {
  starve(100, 100);
  pass(5s); // the first look does not know since when
  EXPECT_TRUE(machine->ack_window_ok());
  pass(250ms);
  EXPECT_FALSE(machine->ack_window_ok());
  EXPECT_EQ(machine->starvation(), 5s);
  starve(0, 100);
  pass(1750ms);
  EXPECT_FALSE(machine->ack_window_ok()) << "quick to step back, slow to come back";
  pass(250ms);
  EXPECT_TRUE(machine->ack_window_ok());
}

TEST_F(OapHealth, StarvationInPiecesAddsUpAndComesBackAtOnce) {
  for (int i = 0; i < 4; ++i) {
    starve(50, 100);
    pass(1s);
    starve(0, 100);
    pass(30s);
  }
  EXPECT_TRUE(machine->ack_window_ok());
  starve(50, 100);
  pass(1250ms);
  EXPECT_FALSE(machine->ack_window_ok());
  starve(0, 100);
  pass(30s);
  EXPECT_TRUE(machine->ack_window_ok());
  starve(50, 100);
  pass(250ms);
  EXPECT_FALSE(machine->ack_window_ok()) << "the five seconds of these minutes are used up";
  starve(0, 100);
  pass(6min);
  starve(50, 100);
  pass(4s);
  EXPECT_TRUE(machine->ack_window_ok()) << "another window";
}

TEST_F(OapHealth, AFewStuckStreamsAreTheirOwnProblem) {
  starve(limits.starved_least - 1, limits.starved_least - 1);
  pass(1min);
  EXPECT_TRUE(machine->ack_window_ok()) << "all, but few";
  starve(400, 1'000);
  pass(1min);
  EXPECT_TRUE(machine->ack_window_ok()) << "many, but less than half";
  EXPECT_EQ(machine->starvation(), 0ms);
}

TEST_F(OapHealth, AStoppedProcessStarvesNobody) {
  starve(100, 100);
  pass(250ms);
  now += 1h;
  pass(250ms);
  EXPECT_EQ(machine->starvation(), 1s);
}

TEST_F(OapHealth, StagingHasALimitAndAHysteresis) {
  now_is.staging_bytes = limits.staging_max;
  pass(250ms);
  EXPECT_TRUE(machine->backpressure_ok());
  now_is.staging_bytes += 1;
  pass(250ms);
  EXPECT_FALSE(machine->backpressure_ok());
  now_is.staging_bytes = limits.staging_max * 9 / 10;
  pass(250ms);
  EXPECT_FALSE(machine->backpressure_ok());
  now_is.staging_bytes = limits.staging_max / 2;
  pass(250ms);
  EXPECT_TRUE(machine->backpressure_ok());
}

TEST_F(OapHealth, PagesWhenALimitHoldsForFiveMinutes) {
  now_is.decode_p95_s = 0.021;
  pass(5min, 1'000, 11);
  EXPECT_FALSE(machine->pages(oap_page::decode));
  EXPECT_FALSE(machine->pages(oap_page::rejects));
  pass(500ms, 1'000, 11);
  EXPECT_TRUE(machine->pages(oap_page::decode));
  EXPECT_TRUE(machine->pages(oap_page::rejects));
  now_is.decode_p95_s = 0.019;
  pass(250ms, 1'000, 11);
  EXPECT_FALSE(machine->pages(oap_page::decode)) << "it starts anew";
  now_is.decode_p95_s = 0.021;
  pass(4min, 1'000, 9);
  EXPECT_FALSE(machine->pages(oap_page::decode));
  EXPECT_FALSE(machine->pages(oap_page::rejects));
}

TEST_F(OapHealth, PagesAtHalfAMinuteOfStarvation) {
  starve(100, 100);
  pass(30s);
  EXPECT_FALSE(machine->pages(oap_page::starvation));
  pass(250ms);
  EXPECT_TRUE(machine->pages(oap_page::starvation));
  starve(0, 100);
  pass(6min);
  EXPECT_FALSE(machine->pages(oap_page::starvation));
}

} // namespace
