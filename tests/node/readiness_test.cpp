#include "node/readiness.hpp"

#include <gtest/gtest.h>

namespace {

using namespace ron::node;
using namespace std::chrono_literals;
using strings = std::vector<std::string>;

struct Readiness : ::testing::Test {
  readiness_machine machine;
  ron::core::instant now{};
  bool index_ok = true;
  bool acks_ok = true;

  readiness after(std::chrono::milliseconds step, double pressure, bool shed = false) {
    now += step;
    return machine.sample({{"index", index_ok, true}, {"oap_ack_window_ok", acks_ok, false}},
                          pressure, shed, now);
  }
};

TEST_F(Readiness, StartsUnreadyUntilTheFirstSample) {
  EXPECT_EQ(machine.state(), readiness::unready);
  EXPECT_EQ(after(0ms, 0), readiness::ready);
  EXPECT_EQ(machine.missing(), strings{});
}

TEST_F(Readiness, AMissingDependencyIsUnreadyAtOnceAndBack) {
  after(0ms, 0);
  index_ok = false;
  EXPECT_EQ(after(250ms, 0), readiness::unready);
  EXPECT_EQ(machine.missing(), strings{"index"});
  index_ok = true;
  EXPECT_EQ(after(250ms, 0), readiness::ready);
}

TEST_F(Readiness, ASoftKeyDegrades) {
  acks_ok = false;
  EXPECT_EQ(after(0ms, 0), readiness::degraded);
  EXPECT_EQ(machine.missing(), strings{"oap_ack_window_ok"});
}

TEST_F(Readiness, WhatStrangersCanBringAboutRefusesNoWrites) {
  const auto sample = [&](bool staging_ok, double pressure) {
    now += 250ms;
    return machine.sample({{"oap_ack_window_ok", false, false, true},
                           {"oap_backpressure_ok", staging_ok, false}},
                          pressure, false, now);
  };
  EXPECT_EQ(sample(true, 0), readiness::degraded);
  EXPECT_FALSE(machine.refuses_writes());
  EXPECT_EQ(sample(false, 0), readiness::degraded);
  EXPECT_TRUE(machine.refuses_writes());
  sample(true, 1);
  EXPECT_FALSE(machine.refuses_writes());
  sample(true, 1);
  EXPECT_TRUE(machine.refuses_writes()) << "pressure";
}

TEST_F(Readiness, PressureDegradesAfterTwoSamplesAndHoldsUntilCalm) {
  EXPECT_EQ(after(0ms, 0.9), readiness::ready) << "one sample is noise";
  EXPECT_EQ(after(250ms, 0.9), readiness::degraded);
  EXPECT_EQ(machine.missing(), strings{"pressure"});
  EXPECT_EQ(after(250ms, 0.7), readiness::degraded) << "between low and high nothing changes";
  EXPECT_EQ(after(250ms, 0.1), readiness::degraded) << "calm begins";
  EXPECT_EQ(after(1'000ms, 0.1), readiness::degraded);
  EXPECT_EQ(after(1'000ms, 0.1), readiness::ready) << "two calm seconds";
}

TEST_F(Readiness, TheFirstShedDegradesAtOnce) {
  after(0ms, 0);
  EXPECT_EQ(after(250ms, 0, true), readiness::degraded);
}

TEST_F(Readiness, DrainIsFinal) {
  after(0ms, 0);
  machine.drain();
  EXPECT_EQ(machine.state(), readiness::unready);
  EXPECT_EQ(after(250ms, 0), readiness::unready);
  EXPECT_EQ(machine.missing(), strings{"draining"});
}

} // namespace
