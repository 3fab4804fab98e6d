#include "oap/unopened.hpp"

#include <gtest/gtest.h>

namespace {

using namespace ron::oap;

TEST(OapUnopened, WaitsForWhatWasSkippedAndTakesEachOnce) {
  unopened_corrs u;
  ASSERT_TRUE(u.skip_to(3, 7, 10)); // 4, 5 and 6 are on their way
  EXPECT_EQ(u.gaps(), 3u);
  EXPECT_TRUE(u.contains(5));
  EXPECT_FALSE(u.contains(7)) << "it has come";
  EXPECT_TRUE(u.take(5));
  EXPECT_FALSE(u.take(5)) << "a second START of the same stream";
  EXPECT_FALSE(u.contains(5));
  EXPECT_FALSE(u.take(3)) << "opened before";
  ASSERT_TRUE(u.skip_to(7, 8, 10)) << "in order";
  EXPECT_EQ(u.gaps(), 2u);
}

TEST(OapUnopened, AJumpOverMoreThanMayBeMissingIsRefused) {
  unopened_corrs u;
  EXPECT_TRUE(u.skip_to(0, 11, 10));
  EXPECT_EQ(u.gaps(), 10u);
  EXPECT_FALSE(u.skip_to(11, 23, 10));
  EXPECT_FALSE(u.skip_to(11, ~corr_t{0}, 10));
  EXPECT_EQ(u.gaps(), 10u) << "nothing is kept of a refused one";
}

TEST(OapUnopened, ForgetsTheOldestGapsFirst) {
  unopened_corrs u;
  ASSERT_TRUE(u.skip_to(0, 9, 10));
  ASSERT_TRUE(u.skip_to(9, 14, 10));
  EXPECT_EQ(u.gaps(), 10u);
  EXPECT_FALSE(u.contains(1));
  EXPECT_FALSE(u.contains(2));
  EXPECT_TRUE(u.contains(3));
  EXPECT_TRUE(u.contains(13));
}

TEST(OapUnopened, KeepsAcknowledgementsInTheirOrderUpToItsBound) {
  unopened_corrs u;
  const auto empty = u.memory_bytes();
  for (std::size_t i = 0; i < unopened_corrs::acks_max; ++i)
    ASSERT_TRUE(u.keep({i % 2 + 1, i, 1}));
  EXPECT_FALSE(u.keep({1, 99, 1}));
  EXPECT_GT(u.memory_bytes(), empty);
  early_ack a;
  EXPECT_FALSE(u.take_ack(3, a));
  for (std::uint64_t i = 0; i < unopened_corrs::acks_max; i += 2) {
    ASSERT_TRUE(u.take_ack(1, a));
    EXPECT_EQ(a.up_to, i);
  }
  EXPECT_FALSE(u.take_ack(1, a));
  EXPECT_TRUE(u.keep({1, 99, 1})) << "there is room again";
}

} // namespace
