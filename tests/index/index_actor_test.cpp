#include "core/store/store_watch.hpp"
#include "index/index.hpp"
#include "index/lmdb_store.hpp"
#include "support/actor_fixture.hpp"
#include "support/hung_pages.hpp"

#include <filesystem>
#include <future>
#include <string>
#include <vector>

namespace {

using namespace ron::index;
using ron::core::ec;
using ron::core::result;
namespace core = ron::core;

constexpr int names = 2'000;
constexpr std::size_t line = 3;

core::cid cid_of(int n) {
  core::cid c;
  c.hash.fill(static_cast<std::uint8_t>(n));
  return c;
}
std::string name_of(int n) {
  return "a/" + std::to_string(n);
}
resolve_key key_of(int n) {
  resolve_key out;
  out.name = name_of(n);
  return out;
}

/// Two replicas over a store whose file lies in memory, one helper thread and a short line for it.
struct IndexActor : ron::test::ShardFixture {
  IndexActor() {
    reopen();
    std::vector<std::promise<result<name_written>>> written(names);
    for (int n = 0; n < names; ++n)
      db->put({name_of(n), cid_of(n), 0, {}, n % 2 == 0 ? "{\"n\":1}" : ""},
              [&, n](auto r) { written[static_cast<std::size_t>(n)].set_value(std::move(r)); });
    for (auto& w : written)
      EXPECT_TRUE(w.get_future().get());
  }
  ~IndexActor() override {
    end();
    std::filesystem::remove_all(folder);
  }
  /// Of the replica and the store.
  void end() {
    core::end(a, caf::exit_reason::kill);
    EXPECT_TRUE(ron::test::eventually([&] { return db.use_count() == 1; }));
    db.reset();
  }
  void reopen() {
    auto opened = open_lmdb_store({folder + "/index", 64u << 20, 16}, clock);
    ASSERT_TRUE(opened) << opened.error().message;
    db = std::move(*opened);
  }
  void start() {
    a = spawn(0, make_index, index_parts{db, cache, &clock, pool});
  }
  template <class R, class Q>
  std::future<result<R>> ask_later(Q q) {
    return std::async(std::launch::async, [this, q] { return ask<R>(a, q); });
  }

  core::manual_clock clock;
  std::string folder = ron::test::folder_in_memory();
  std::shared_ptr<store> db;
  std::shared_ptr<name_cache> cache = std::make_shared<name_cache>(cache_limits{});
  std::shared_ptr<core::helper_pool> pool = std::make_shared<core::helper_pool>("names", 1, line);
  index_actor a;
};

TEST_F(IndexActor, AnswersWhatIsInMemoryOnItsShard) {
  start();
  for (int n = 0; n < names; ++n) {
    const auto r = ask<resolution>(a, key_of(n));
    ASSERT_TRUE(r) << r.error().message;
    ASSERT_EQ(r->cid, cid_of(n));
    ASSERT_EQ(r->source, found_in::store);
    ASSERT_EQ(r->manifest.empty(), n % 256 % 2 != 0);
  }
  EXPECT_EQ(ask<resolution>(a, key_of(names)).error().code, ec::not_found);
  EXPECT_EQ(ask<name_record>(a, find_name{name_of(7)})->cid, cid_of(7));
  EXPECT_FALSE(ask<manifest_text>(a, find_manifest{cid_of(2)})->json.empty());
  EXPECT_TRUE(*ask<bool>(a, find_named{cid_of(3)}));
  EXPECT_EQ(pool->stats().done + pool->stats().waiting, 0u);
  EXPECT_EQ(ask<name_page>(a, list_names{"a/", "", 1'000})->items.size(), 1'000u);
  EXPECT_EQ(pool->stats().refused, 0u);
}

TEST_F(IndexActor, AShardGoesOnWhileTheDiskDoesNotAnswer) {
  start();
  ASSERT_TRUE(ask<resolution>(a, key_of(1))); // which the cache has now
  end();
  reopen();
  start();
  ron::test::hung_pages disk{folder + "/index/data.mdb"};
  auto first = ask_later<resolution>(key_of(10));
  ASSERT_TRUE(ron::test::eventually([&] {
    const auto s = pool->stats(); // it was in the line, and is no more
    return s.high_water == 1 && s.waiting == 0;
  }));
  EXPECT_EQ(cache->misses(), 2u);
  // It has the thread; three more may wait for that, of whatever kind.
  auto second = ask_later<name_record>(find_name{name_of(11)});
  auto third = ask_later<manifest_text>(find_manifest{cid_of(12)});
  auto fourth = ask_later<bool>(find_named{cid_of(13)});
  ASSERT_TRUE(ron::test::eventually([&] { return pool->stats().waiting == line; }));
  for (int n = 20; n < 25; ++n) {
    const auto refused = ask<resolution>(a, key_of(n));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ec::busy) << refused.error().message;
  }
  EXPECT_EQ(ask<name_page>(a, list_names{"a/", "", 10}).error().code, ec::busy);
  EXPECT_EQ(pool->stats().refused, 6u);
  const auto held = ask<resolution>(a, key_of(1));
  ASSERT_TRUE(held) << "the shard is not blocked";
  EXPECT_EQ(held->source, found_in::cache);
  db->maintain();
  EXPECT_FALSE(db->stalled());
  clock.advance(core::store::store_watch::patience + std::chrono::seconds{1});
  db->maintain();
  EXPECT_TRUE(db->stalled());
  disk.go_on();
  EXPECT_EQ(first.get()->cid, cid_of(10));
  EXPECT_EQ(second.get()->cid, cid_of(11));
  EXPECT_EQ(third.get()->json, "{\"n\":1}");
  EXPECT_TRUE(*fourth.get());
  EXPECT_EQ(pool->stats().high_water, line);
  db->maintain();
  EXPECT_FALSE(db->stalled());
  EXPECT_EQ(ask<resolution>(a, key_of(10))->source, found_in::store) << "32 s later";
  EXPECT_EQ(ask<resolution>(a, key_of(10))->source, found_in::cache);
}

} // namespace
