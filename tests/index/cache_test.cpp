#include "index/cache.hpp"

#include <gtest/gtest.h>

namespace {

using namespace ron::index;
using namespace std::chrono_literals;
using ron::core::boot_instant;

cached_name version(std::uint64_t v) {
  name_record r;
  r.version = v;
  return {r, {}};
}

struct Cache : ::testing::Test {
  cache_limits limits;
  std::optional<name_cache> cache;
  boot_instant now{1h};
  name_cache::ticket ticket = 0;

  name_cache& c() {
    if (!cache)
      cache.emplace(limits);
    return *cache;
  }
  std::optional<cached_name> find(std::string_view n) { return c().find(n, now, ticket); }
};

TEST_F(Cache, RemembersUntilTheTimeToLive) {
  EXPECT_FALSE(find("a"));
  c().put("a", version(1), now, ticket);
  now += 9'999ms;
  ASSERT_TRUE(find("a"));
  EXPECT_EQ(find("a")->record->version, 1u);
  now += 1ms;
  EXPECT_FALSE(find("a"));
  EXPECT_EQ(c().hits(), 2u);
  EXPECT_EQ(c().misses(), 2u);
}

TEST_F(Cache, RemembersAbsenceForLess) {
  find("a");
  c().put("a", {}, now, ticket);
  ASSERT_TRUE(find("a"));
  EXPECT_FALSE(find("a")->record);
  now += 2s;
  EXPECT_FALSE(find("a"));
}

TEST_F(Cache, OtherLimitsForgetWhatWasThereAndHoldFromThenOn) {
  find("a");
  c().put("a", version(1), now, ticket);
  c().set_limits({.entries_max = 16, .ttl = 1ms});
  EXPECT_FALSE(find("a"));
  for (int i = 0; i < 100; ++i) {
    const auto name = std::to_string(i);
    find(name);
    c().put(name, version(1), now, ticket);
    EXPECT_TRUE(find(name));
  }
  EXPECT_LE(c().size(), 16u);
  now += 1ms;
  EXPECT_FALSE(find("99"));
}

TEST_F(Cache, NoEntriesIsOff) {
  limits.entries_max = 0;
  find("a");
  c().put("a", version(1), now, ticket);
  EXPECT_FALSE(find("a"));
  EXPECT_EQ(c().size(), 0u);
}

TEST_F(Cache, AWriteDropsItAndALateReaderCannotBringItBack) {
  find("a");
  auto early = ticket;
  c().drop("a");
  c().put("a", version(1), now, early);
  EXPECT_FALSE(find("a")) << "the lookup began before the write";
  c().put("a", version(2), now, ticket);
  EXPECT_EQ(find("a")->record->version, 2u);
}

TEST_F(Cache, AShorterLifeOfTheRecordCounts) {
  find("a");
  auto v = version(1);
  v.record->ttl_s = 1;
  c().put("a", v, now, ticket);
  now += 1s;
  EXPECT_FALSE(find("a"));
}

TEST_F(Cache, IsBoundedAndKeepsWhatIsUsed) {
  limits.entries_max = 160;
  for (int i = 0; i < 5'000; ++i) {
    auto n = std::to_string(i);
    find(n);
    c().put(n, version(1), now, ticket);
    find("hot");
    c().put("hot", version(1), now, ticket);
  }
  EXPECT_LE(c().size(), 160u);
  EXPECT_TRUE(find("hot"));
}

} // namespace
