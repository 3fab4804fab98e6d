#include "transport/http/rate_floor.hpp"

#include <gtest/gtest.h>

namespace {

using namespace ron;
using namespace ron::http;
using namespace std::chrono_literals;

constexpr core::instant t0{1'000s};

TEST(HttpRateFloor, EachWindowNeedsItsShare) {
  rate_floor r{100, 10s};
  r.resume(t0);
  EXPECT_EQ(r.due(), t0 + 10s);
  r.add(1'000);
  EXPECT_FALSE(r.missed(t0 + 9s));
  EXPECT_FALSE(r.missed(t0 + 10s));
  EXPECT_EQ(r.due(), t0 + 20s);
  r.add(999);
  EXPECT_FALSE(r.missed(t0 + 19s));
  EXPECT_TRUE(r.missed(t0 + 20s)) << "credit of an earlier window does not count";
}

TEST(HttpRateFloor, PausedTimeDoesNotCount) {
  rate_floor r{100, 10s};
  r.resume(t0);
  r.pause(t0 + 4s);
  EXPECT_FALSE(r.due());
  EXPECT_FALSE(r.missed(t0 + 100s));
  r.resume(t0 + 100s);
  r.resume(t0 + 101s);
  EXPECT_EQ(r.due(), t0 + 106s);
  EXPECT_TRUE(r.missed(t0 + 106s));
  r.reset();
  EXPECT_FALSE(r.due());
}

TEST(HttpRateFloor, ZeroIsOff) {
  rate_floor r{0, 10s};
  r.resume(t0);
  EXPECT_FALSE(r.due());
  EXPECT_FALSE(r.missed(t0 + 1h));
}

} // namespace
