#include "load/latency.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace {

using ron::load::latency;

TEST(Latency, NothingIsZero) {
  latency l;
  EXPECT_EQ(l.quantile(0.99), 0u);
  EXPECT_EQ(l.max(), 0u);
}

TEST(Latency, SmallTimesAreExact) {
  latency l;
  for (std::uint64_t v = 1; v <= 100; ++v)
    l.add(v);
  EXPECT_EQ(l.quantile(0.5), 50u);
  EXPECT_EQ(l.quantile(0.99), 99u);
  EXPECT_EQ(l.quantile(1.0), 100u);
}

TEST(Latency, AgreesWithSortingToOneSixtyFourth) {
  std::mt19937_64 random{7};
  for (int round = 0; round < 20; ++round) {
    latency l;
    std::vector<std::uint64_t> all(1'000 + random() % 5'000);
    for (auto& v : all)
      l.add(v = random() >> (24 + random() % 40));
    std::ranges::sort(all);
    for (double q : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(all.size())));
      const auto exact = all[std::max<std::size_t>(rank, 1) - 1];
      EXPECT_GE(l.quantile(q), exact);
      EXPECT_LE(l.quantile(q), exact + exact / 64 + 1);
    }
    EXPECT_EQ(l.max(), all.back());
  }
}

TEST(Latency, AddsUp) {
  latency all;
  latency other;
  all.add(3);
  other.add(5);
  other.add(700);
  all.add(other);
  EXPECT_EQ(all.count(), 3u);
  EXPECT_EQ(all.quantile(0.3), 3u);
  EXPECT_EQ(all.quantile(0.6), 5u);
  EXPECT_EQ(all.max(), 700u);
}

TEST(Latency, WhatIsBeyondItsRangeIsKeptAsTheMost) {
  latency l;
  l.add(~0ull);
  EXPECT_EQ(l.quantile(0.5), ~0ull);
  EXPECT_EQ(l.count(), 1u);
}

} // namespace
