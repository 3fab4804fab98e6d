#include "index/store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace {

using namespace ron::index;
using ron::core::ec;
using ron::core::result;

ron::core::cid cid_of(std::uint8_t n) {
  ron::core::cid c;
  c.hash.fill(n);
  return c;
}

/// Every back end passes the same tests; `make` opens an empty store.
struct Store : ::testing::Test {
  ron::core::manual_clock clock;
  std::unique_ptr<store> db = make_ram_store({}, clock);

  result<name_written> put(std::string name, std::uint8_t c, precondition when = {},
                           std::string manifest = {}) {
    result<name_written> out = ron::core::fail(ec::internal, "no outcome");
    db->put({std::move(name), cid_of(c), 0, when, std::move(manifest)},
            [&](auto r) { out = std::move(r); });
    return out;
  }
  result<name_record> del(std::string name, precondition when = {}) {
    result<name_record> out = ron::core::fail(ec::internal, "no outcome");
    db->del({std::move(name), when}, [&](auto r) { out = std::move(r); });
    return out;
  }
};

precondition absent() {
  return {precondition::kind::absent, 0};
}
precondition at_version(std::uint64_t v) {
  return {precondition::kind::version, v};
}

TEST_F(Store, CreatesFindsReplacesRemoves) {
  auto first = put("alice/a", 1);
  ASSERT_TRUE(first);
  EXPECT_TRUE(first->created);
  EXPECT_EQ(db->find("alice/a")->cid, cid_of(1));
  auto second = put("alice/a", 2);
  EXPECT_FALSE(second->created);
  EXPECT_GT(second->record.version, first->record.version);
  EXPECT_EQ(db->find("alice/a")->cid, cid_of(2));
  EXPECT_TRUE(del("alice/a"));
  EXPECT_EQ(db->find("alice/a").error().code, ec::not_found);
  EXPECT_EQ(del("alice/a").error().code, ec::not_found);
}

TEST_F(Store, ComparesAndSets) {
  EXPECT_EQ(put("a/x", 1, at_version(1)).error().code, ec::precondition_failed);
  auto v1 = put("a/x", 1, absent());
  ASSERT_TRUE(v1);
  EXPECT_EQ(put("a/x", 2, absent()).error().code, ec::precondition_failed);
  auto v2 = put("a/x", 2, at_version(v1->record.version));
  ASSERT_TRUE(v2);
  EXPECT_EQ(put("a/x", 3, at_version(v1->record.version)).error().code, ec::precondition_failed);
  EXPECT_EQ(del("a/x", at_version(v1->record.version)).error().code, ec::precondition_failed);
  EXPECT_EQ(db->find("a/x")->cid, cid_of(2));
}

TEST_F(Store, VersionsAreNeverUsedTwice) {
  auto before = put("a/x", 1)->record.version;
  ASSERT_TRUE(del("a/x"));
  auto after = put("a/x", 1)->record.version;
  EXPECT_GT(after, before) << "a removed and recreated name must not look unchanged";
}

TEST_F(Store, OfManyRacersExactlyOneWins) {
  auto start = put("a/x", 0)->record.version;
  std::atomic<int> won{0};
  std::vector<std::thread> racers;
  for (std::uint8_t i = 1; i <= 8; ++i)
    racers.emplace_back([&, i] {
      db->put({"a/x", cid_of(i), 0, at_version(start), {}}, [&](auto r) { won += r.has_value(); });
    });
  for (auto& r : racers)
    r.join();
  EXPECT_EQ(won, 1);
}

TEST_F(Store, ListsByPrefixInPages) {
  for (auto n : {"b/1", "a/3", "a/1", "a/2", "aa/1"})
    ASSERT_TRUE(put(n, 1));
  auto page = *db->list("a/", "", 2);
  ASSERT_EQ(page.items.size(), 2u);
  EXPECT_EQ(page.items[0].name, "a/1");
  EXPECT_EQ(page.next, "a/2");
  page = *db->list("a/", page.next, 2);
  ASSERT_EQ(page.items.size(), 1u);
  EXPECT_EQ(page.items[0].name, "a/3");
  EXPECT_TRUE(page.next.empty());
  EXPECT_EQ(db->list("", "", 100)->items.size(), 5u);
}

TEST_F(Store, KeepsManifestsByObject) {
  EXPECT_EQ(db->manifest(cid_of(1)).error().code, ec::not_found);
  ASSERT_TRUE(put("a/x", 1, {}, "{\"version\":1}"));
  EXPECT_EQ(*db->manifest(cid_of(1)), "{\"version\":1}");
}

TEST_F(Store, RamBudgetRefusesAndRemovingFrees) {
  db = make_ram_store({.names_max = 2, .bytes_max = 1u << 20}, clock);
  ASSERT_TRUE(put("a/1", 1));
  ASSERT_TRUE(put("a/2", 1));
  EXPECT_EQ(put("a/3", 1).error().code, ec::store_quota);
  EXPECT_TRUE(put("a/2", 2)) << "a replacement needs no new room";
  ASSERT_TRUE(del("a/1"));
  EXPECT_TRUE(put("a/3", 1));
  db = make_ram_store({.names_max = 100, .bytes_max = 1'000}, clock);
  EXPECT_EQ(put("a/1", 1, {}, std::string(2'000, 'x')).error().code, ec::store_quota);
  EXPECT_EQ(db->names(), 0u);
}

} // namespace
