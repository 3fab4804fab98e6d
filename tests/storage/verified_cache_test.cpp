#include "storage/budget.hpp"
#include "storage/verified_cache.hpp"
#include "storage/verified_nodes.hpp"
#include "storage_fixture.hpp"

#include <thread>

namespace {

using namespace ron::test;
using ron::core::bytes;

TEST(VerifiedCache, FindsWhatItHoldsAndCounts) {
  verified_cache cache{8u << 20};
  auto data = bytes::copy(noise(1'000, 1));
  EXPECT_FALSE(cache.find(1, 0));
  cache.put(1, 0, data);
  EXPECT_FALSE(cache.find(1, 0)) << "read once";
  cache.put(1, 0, data);
  cache.put(1, 0, data);
  auto found = cache.find(1, 0);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->data(), data.data()) << "shared, not copied";
  EXPECT_FALSE(cache.find(1, 1));
  EXPECT_FALSE(cache.find(2, 0));
  auto s = cache.stats();
  EXPECT_EQ(s.hits, 1u);
  EXPECT_EQ(s.misses, 4u);
  EXPECT_EQ(s.passed, 1u);
  EXPECT_EQ(s.groups, 1u);
}

TEST(VerifiedCache, NeverExceedsItsBound) {
  constexpr std::uint64_t bound = 1u << 20;
  verified_cache cache{bound};
  auto data = bytes::copy(noise(20'000, 1));
  for (std::uint64_t i = 0; i < 1'000; ++i) {
    cache.put(i, i % 7, data);
    cache.put(i, i % 7, data);
    ASSERT_LE(cache.stats().bytes, bound);
  }
  EXPECT_GT(cache.stats().evicted, 900u);
  cache.put(5'000, 0, bytes::copy(noise(bound / 8, 2)));
  EXPECT_FALSE(cache.find(5'000, 0)) << "larger than a stripe's share";
  cache.set_max(0);
  EXPECT_EQ(cache.stats().bytes, 0u);
  cache.put(1, 1, data);
  EXPECT_EQ(cache.stats().groups, 0u) << "off";
}

TEST(VerifiedCache, ForgetsTheLeastRecentlyUsedFirst) {
  verified_cache cache{8 * 100'000};
  auto data = bytes::copy(noise(10'000, 1));
  cache.put(1, 0, data);
  cache.put(1, 0, data);
  for (std::uint64_t i = 2; i < 300; ++i) {
    cache.put(i, 0, data);
    cache.put(i, 0, data);
    ASSERT_TRUE(cache.find(1, 0)) << "used all the time";
  }
  EXPECT_FALSE(cache.find(2, 0));
}

TEST(VerifiedCache, OnePassOverMoreThanItHoldsThrowsNothingOut) {
  verified_cache cache{8u << 20};
  auto data = bytes::copy(noise(ron::core::limits::chunk_bytes, 1));
  for (std::uint64_t i = 0; i < 100; ++i)
    for (int twice = 0; twice < 2; ++twice)
      cache.put(1, i, data);
  std::vector<std::uint64_t> held;
  for (std::uint64_t i = 0; i < 100; ++i)
    if (cache.find(1, i))
      held.push_back(i);
  ASSERT_EQ(held.size(), cache.stats().groups);
  EXPECT_GT(held.size(), 80u);
  const auto before = cache.stats();
  for (std::uint64_t i = 0; i < 1'000; ++i)
    cache.put(2, i, data);
  EXPECT_EQ(cache.stats().passed, before.passed + 1'000);
  EXPECT_EQ(cache.stats().evicted, before.evicted);
  EXPECT_EQ(cache.stats().bytes, before.bytes);
  for (auto i : held)
    ASSERT_TRUE(cache.find(1, i)) << i;
  cache.put(3, 0, data);
  EXPECT_FALSE(cache.find(3, 0));
  cache.put(3, 0, data);
  EXPECT_TRUE(cache.find(3, 0)) << "read again";
}

TEST(VerifiedCache, ServesManyThreads) {
  verified_cache cache{1u << 20};
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::mt19937_64 rng{static_cast<std::uint64_t>(t)};
      for (int i = 0; i < 5'000; ++i) {
        auto n = rng() % 100;
        if (auto found = cache.find(n, 0)) {
          if (found->size() != 100 * n + 1)
            ++wrong;
        } else {
          cache.put(n, 0, bytes::copy(byte_vector(100 * n + 1)));
        }
      }
    });
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(wrong, 0);
}

TEST(VerifiedNodes, FindsWhatItWasGivenAndNoOther) {
  verified_nodes nodes{1u << 20};
  verified_nodes::node out{};
  EXPECT_FALSE(nodes.find(0, 0, out));
  auto node_of = [](std::uint64_t object, std::uint64_t index) {
    verified_nodes::node n{};
    const auto bytes = noise(n.size(), object * 1'000'003 + index);
    std::ranges::copy(bytes, n.begin());
    return n;
  };
  std::size_t kept = 0;
  for (std::uint64_t object = 0; object < 50; ++object)
    for (std::uint64_t index = 0; index < 1'000; ++index)
      nodes.put(object, index, node_of(object, index));
  for (std::uint64_t object = 0; object < 50; ++object)
    for (std::uint64_t index = 0; index < 1'000; ++index)
      if (nodes.find(object, index, out)) {
        ASSERT_EQ(out, node_of(object, index));
        ++kept;
      }
  EXPECT_GT(kept, 5'000u);
  EXPECT_LE(kept, (1u << 20) / (b3::node_bytes + 16)) << "its bound";
  nodes.set_max(0);
  nodes.put(1, 1, node_of(1, 1));
  EXPECT_FALSE(nodes.find(1, 1, out)) << "off";
}

TEST(Budget, TakesUpToItsBoundFromManyThreads) {
  budget b{1'000};
  EXPECT_FALSE(b.take(1'001));
  EXPECT_FALSE(b.take(~0ull));
  std::atomic<std::uint64_t> taken{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 1'000; ++i)
        if (b.take(3))
          taken += 3;
    });
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(taken, 999u);
  EXPECT_EQ(b.taken(), 999u);
  b.give_back(999);
  b.set_max(0);
  EXPECT_TRUE(b.take(1ull << 50)) << "no bound";
}

} // namespace
