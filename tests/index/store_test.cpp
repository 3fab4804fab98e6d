#include "core/store/key.hpp"
#include "index/lmdb_store.hpp"
#include "core/store/store_watch.hpp"
#include "index/store.hpp"
#include "support/stuck_disk.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <thread>

namespace {

using namespace ron::index;
using ron::core::ec;
using ron::core::result;
namespace lmdb = ron::core::store;

ron::core::cid cid_of(std::uint8_t n) {
  ron::core::cid c;
  c.hash.fill(n);
  return c;
}

/// Both back ends pass the same tests. Outcomes may come from another thread: `wait` blocks for
/// one, at most as long as the test may take.
struct Store : ::testing::TestWithParam<const char*> {
  ron::core::manual_clock clock;
  std::filesystem::path folder;
  std::unique_ptr<store> db;

  void SetUp() override {
    if (std::string_view{GetParam()} == "ram") {
      db = make_ram_store({}, clock);
      return;
    }
    std::string pattern = (std::filesystem::temp_directory_path() / "ron-index-XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder = pattern;
    reopen();
  }
  void TearDown() override {
    db.reset();
    if (!folder.empty())
      std::filesystem::remove_all(folder);
  }
  void reopen() {
    db.reset();
    auto opened = open_lmdb_store({(folder / "index").string(), 64u << 20, 16}, clock);
    ASSERT_TRUE(opened) << opened.error().message;
    db = std::move(*opened);
  }
  template <class T>
  struct outcome {
    std::promise<result<T>> promise;
    written<T> handler() {
      return [this](result<T> r) { promise.set_value(std::move(r)); };
    }
    result<T> wait() { return promise.get_future().get(); }
  };

  result<name_written> put(std::string name, std::uint8_t c, precondition when = {},
                           std::string manifest = {}) {
    outcome<name_written> out;
    db->put({std::move(name), cid_of(c), 0, when, std::move(manifest)}, out.handler());
    return out.wait();
  }
  result<name_record> del(std::string name, precondition when = {}) {
    outcome<name_record> out;
    db->del({std::move(name), when}, out.handler());
    return out.wait();
  }
};

precondition absent() {
  return {precondition::kind::absent, 0};
}
precondition at_version(std::uint64_t v) {
  return {precondition::kind::version, v};
}

TEST_P(Store, CreatesFindsReplacesRemoves) {
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

TEST_P(Store, ComparesAndSets) {
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

TEST_P(Store, VersionsAreNeverUsedTwice) {
  auto before = put("a/x", 1)->record.version;
  ASSERT_TRUE(del("a/x"));
  auto after = put("a/x", 1)->record.version;
  EXPECT_GT(after, before) << "a removed and recreated name must not look unchanged";
}

TEST_P(Store, OfManyRacersExactlyOneWins) {
  auto start = put("a/x", 0)->record.version;
  std::atomic<int> won{0};
  std::vector<std::thread> racers;
  for (std::uint8_t i = 1; i <= 8; ++i)
    racers.emplace_back([&, i] {
      outcome<name_written> out;
      db->put({"a/x", cid_of(i), 0, at_version(start), {}}, out.handler());
      won += out.wait().has_value();
    });
  for (auto& r : racers)
    r.join();
  EXPECT_EQ(won, 1);
}

TEST_P(Store, ListsByPrefixInPages) {
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

TEST_P(Store, KeepsManifestsByObject) {
  EXPECT_EQ(db->manifest(cid_of(1)).error().code, ec::not_found);
  ASSERT_TRUE(put("a/x", 1, {}, "{\"version\":1}"));
  EXPECT_EQ(*db->manifest(cid_of(1)), "{\"version\":1}");
}

TEST_P(Store, AManifestOfItsOwnIsKept) {
  outcome<void> out;
  db->put_manifest(cid_of(9), "{}", out.handler());
  ASSERT_TRUE(out.wait());
  EXPECT_EQ(*db->manifest(cid_of(9)), "{}");
}

TEST_P(Store, KnowsWhichObjectsAreNamed) {
  EXPECT_FALSE(*db->named(cid_of(1)));
  ASSERT_TRUE(put("a/x", 1));
  ASSERT_TRUE(put("a/y", 1));
  ASSERT_TRUE(put("a/y", 1)) << "again: counted once";
  EXPECT_TRUE(*db->named(cid_of(1)));
  ASSERT_TRUE(put("a/x", 2)) << "moves";
  EXPECT_TRUE(*db->named(cid_of(1)));
  EXPECT_TRUE(*db->named(cid_of(2)));
  ASSERT_TRUE(del("a/y"));
  EXPECT_FALSE(*db->named(cid_of(1)));
  ASSERT_TRUE(del("a/x"));
  EXPECT_FALSE(*db->named(cid_of(2)));
}

INSTANTIATE_TEST_SUITE_P(BackEnds, Store, ::testing::Values("ram", "lmdb"),
                         [](const auto& back_end) { return std::string{back_end.param}; });

struct DurableStore : Store {};
INSTANTIATE_TEST_SUITE_P(BackEnds, DurableStore, ::testing::Values("lmdb"));

TEST_P(DurableStore, SurvivesTheProcessAndSoDoVersions) {
  auto before = put("a/x", 1, {}, "{}")->record.version;
  ASSERT_TRUE(put("a/y", 2));
  ASSERT_TRUE(del("a/y"));
  reopen();
  EXPECT_EQ(db->find("a/x")->cid, cid_of(1));
  EXPECT_EQ(db->find("a/x")->version, before);
  EXPECT_EQ(*db->manifest(cid_of(1)), "{}");
  EXPECT_GT(put("a/y", 3)->record.version, before + 1) << "also the removed one's is not reused";
}

TEST_P(DurableStore, BringsAnOlderFileUpToDate) {
  db.reset();
  auto path = (folder / "old").string();
  {
    lmdb::environment_options o;
    o.path = path;
    o.map_bytes = 64u << 20;
    o.tables = {"names", "manifests", "counters"};
    auto env = lmdb::environment::open(std::move(o));
    ASSERT_TRUE(env) << env.error().message;
    lmdb::writer log{**env};
    lmdb::write_job job;
    job.apply = [](lmdb::transaction& t) -> result<void> {
      for (auto [name, c] : {std::pair{"a/x", 1}, {"a/y", 1}, {"b", 2}}) {
        lmdb::key value;
        value.add(cid_of(static_cast<std::uint8_t>(c)).view());
        value.add(std::uint64_t{7}).add(std::uint64_t{1}).add(std::uint32_t{0});
        std::string_view k{name};
        if (auto ok = t.put(lmdb::table{0}, lmdb::key{}.add(k), value); !ok)
          return ok;
      }
      return {};
    };
    std::promise<result<void>> done;
    job.then = [&done](result<void> r) { done.set_value(std::move(r)); };
    log.submit(std::move(job));
    ASSERT_TRUE(done.get_future().get());
  }
  auto opened = open_lmdb_store({path, 64u << 20, 16}, clock);
  ASSERT_TRUE(opened) << opened.error().message;
  db = std::move(*opened);
  EXPECT_EQ(db->find("a/y")->version, 7u);
  EXPECT_TRUE(*db->named(cid_of(1)));
  EXPECT_TRUE(*db->named(cid_of(2)));
  EXPECT_FALSE(*db->named(cid_of(3)));
  ASSERT_TRUE(del("b"));
  EXPECT_FALSE(*db->named(cid_of(2)));
}

TEST_P(Store, NoticesADiskThatDoesNotAnswer) {
  ron::test::stuck_disk disk; // outlives the store
  if (folder.empty()) {
    EXPECT_FALSE(db->stalled());
    EXPECT_FALSE(db->stats()) << "there is no disk";
    return;
  }
  db.reset();
  auto opened = open_lmdb_store({(folder / "index").string(), 64u << 20, 16}, clock, &disk);
  ASSERT_TRUE(opened) << opened.error().message;
  db = std::move(*opened);
  ASSERT_TRUE(put("a/x", 1));
  EXPECT_TRUE(db->stats()->map);
  disk.stick();
  outcome<name_written> late;
  db->put({"a/y", cid_of(2), 0, {}, {}}, late.handler());
  db->maintain();
  EXPECT_FALSE(db->stalled());
  clock.advance(lmdb::store_watch::patience + std::chrono::seconds{1});
  db->maintain();
  EXPECT_TRUE(db->stalled()) << "the one job is under way, and nothing waits behind it";
  EXPECT_FALSE(db->stats()->map) << "whoever asks for figures does not ask the disk";
  EXPECT_EQ(db->find("a/x")->cid, cid_of(1));
  disk.go_on();
  ASSERT_TRUE(late.wait());
  ASSERT_TRUE(put("a/z", 3)) << "so the writer is through with the one before";
  db->maintain();
  EXPECT_FALSE(db->stalled());
  db.reset();
}

TEST(RamStore, BudgetRefusesAndRemovingFrees) {
  ron::core::manual_clock clock;
  auto put = [](store& db, std::string name, std::uint8_t c, std::string manifest = {}) {
    result<name_written> out = ron::core::fail(ec::internal, "no outcome");
    db.put({std::move(name), cid_of(c), 0, {}, std::move(manifest)},
           [&](auto r) { out = std::move(r); });
    return out;
  };
  auto db = make_ram_store({.names_max = 2, .bytes_max = 1u << 20}, clock);
  ASSERT_TRUE(put(*db, "a/1", 1));
  ASSERT_TRUE(put(*db, "a/2", 1));
  EXPECT_EQ(put(*db, "a/3", 1).error().code, ec::store_quota);
  EXPECT_TRUE(put(*db, "a/2", 2)) << "a replacement needs no new room";
  db->del({"a/1", {}}, [](auto r) { EXPECT_TRUE(r); });
  EXPECT_TRUE(put(*db, "a/3", 1));
  db = make_ram_store({.names_max = 100, .bytes_max = 1'000}, clock);
  EXPECT_EQ(put(*db, "a/1", 1, std::string(2'000, 'x')).error().code, ec::store_quota);
  EXPECT_EQ(db->find("a/1").error().code, ec::not_found);
}

} // namespace
