#include "omnigate/rate.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace {

using namespace ron::omnigate;

constexpr gcra::nanos second = 1'000'000'000;
constexpr gcra::nanos t0 = 1'000 * second;

TEST(Rate, GrantsTheBurstThenTheRate) {
  gcra::nanos tat = 0;
  rate_limit limit{.per_second = 10, .burst = 5};
  for (int i = 0; i < 5; ++i)
    EXPECT_EQ(gcra::take(tat, t0, limit), 0);
  EXPECT_EQ(gcra::take(tat, t0, limit), second / 10);
  EXPECT_EQ(gcra::take(tat, t0 + second / 10, limit), 0);
  EXPECT_GT(gcra::take(tat, t0 + second / 10, limit), 0);
}

TEST(Rate, NeverGrantsMoreThanRateTimesTimePlusBurst) {
  gcra::nanos tat = 0;
  rate_limit limit{.per_second = 500, .burst = 1000};
  std::uint64_t granted = 0;
  for (gcra::nanos t = 0; t < 10 * second; t += second / 5000)
    granted += gcra::take(tat, t0 + t, limit) == 0;
  EXPECT_LE(granted, 500u * 10 + 1000);
  EXPECT_GE(granted, 500u * 10 + 1000 - 2);
}

TEST(Rate, ZeroMeansNoLimit) {
  shared_bucket bucket{{}};
  keyed_buckets keyed{{}, 16};
  for (int i = 0; i < 10'000; ++i) {
    EXPECT_EQ(bucket.take(t0), 0);
    EXPECT_EQ(keyed.take("a", t0), 0);
  }
  EXPECT_EQ(keyed.size(), 0u);
}

TEST(Rate, SharedBucketIsExactAcrossThreads) {
  shared_bucket bucket{{.per_second = 1, .burst = 1000}};
  std::atomic<int> granted{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int k = 0; k < 1000; ++k)
        granted += bucket.take(t0) == 0;
    });
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(granted, 1000);
}

TEST(Rate, KeysAreIndependent) {
  keyed_buckets keyed{{.per_second = 1, .burst = 1}, 1024};
  EXPECT_EQ(keyed.take("a", t0), 0);
  EXPECT_GT(keyed.take("a", t0), 0);
  EXPECT_EQ(keyed.take("b", t0), 0);
}

TEST(Rate, AFloodOfKeysIsBoundedAndLimitedAsOne) {
  keyed_buckets keyed{{.per_second = 1, .burst = 2}, 64};
  int granted = 0;
  for (int i = 0; i < 10'000; ++i)
    granted += keyed.take("key" + std::to_string(i), t0) == 0;
  EXPECT_LE(keyed.size(), 64u);
  EXPECT_LE(granted, 64 + 2 * 16) << "known keys once, then one shared bucket a stripe";
}

TEST(Rate, FullBucketsAreForgottenWhenRoomIsNeeded) {
  keyed_buckets keyed{{.per_second = 10, .burst = 1}, 64};
  for (int i = 0; i < 1'000; ++i)
    keyed.take("old" + std::to_string(i), t0);
  EXPECT_EQ(keyed.take("new", t0 + 60 * second), 0);
  EXPECT_GT(keyed.take("new", t0 + 60 * second), 0) << "the newcomer has a bucket of its own";
}

TEST(Rate, AddressKeyGroupsIpv6ByPrefix) {
  EXPECT_EQ(address_key("127.0.0.1:4711"), "127.0.0.1");
  EXPECT_EQ(address_key("[::ffff:10.1.2.3]:9"), "10.1.2.3");
  EXPECT_EQ(address_key("[2001:db8:1:2ff::1]:80"), address_key("[2001:db8:1:2aa::9]:81"));
  EXPECT_NE(address_key("[2001:db8:1:2ff::1]:80"), address_key("[2001:db8:1:3ff::1]:80"));
  EXPECT_EQ(address_key("nonsense"), "nonsense");
}

} // namespace
