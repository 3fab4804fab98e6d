#include "storage/replication_table.hpp"
#include "storage_fixture.hpp"

#include <fstream>
#include <iterator>
#include <set>
#include <string>

namespace {

using namespace ron::test;

/// The walk over the objects of a store on disk, which goes on after a restart.
struct ReplicationWalk : ::testing::Test {
  temporary_folder folder;
  core::manual_clock clock;
  std::unique_ptr<backend> db = open_lmdb(lmdb_options(folder), clock);

  void reopen() {
    db.reset();
    db = open_lmdb(lmdb_options(folder), clock);
    db->set_replication({.copies = true, .others = true});
  }
  walk_state step(const walk_order& o) {
    auto s = wait_for<walk_state>([&](auto then) { db->walk(o, std::move(then)); });
    EXPECT_TRUE(s) << s.error().message;
    return s.value_or(walk_state{});
  }
  std::set<core::cid> listed() {
    std::set<core::cid> out;
    const auto page = db->work({}, 100);
    for (const auto& w : *page)
      out.insert(w.cid);
    return out;
  }
};

TEST_F(ReplicationWalk, PutsOnTheListWhatIsOurOwn) {
  std::set<core::cid> own;
  for (std::uint64_t n = 0; n < 10; ++n)
    own.insert(put(*db, noise(10, n))->cid);
  ASSERT_TRUE(put(*db, noise(10, 99), tenant_of(77), 100'000, origin::replica));
  reopen(); // with storage.rf raised
  auto s = step({.mark = 5, .limit = 4});
  EXPECT_TRUE(s.running);
  EXPECT_FALSE(s.audit);
  EXPECT_EQ(s.walked, 4u);
  EXPECT_LE(db->stats().work, 4u);
  const auto before = s;
  reopen();
  s = step({.mark = 5, .limit = 4});
  EXPECT_EQ(s.walked, 8u) << "went on where it was";
  EXPECT_GT(s.place, before.place);
  s = step({.mark = 5, .limit = 4});
  EXPECT_FALSE(s.running);
  EXPECT_EQ(s.walked, 11u);
  EXPECT_EQ(listed(), own);
  // Over, also after a restart, until it is asked for again or the configuration is another.
  for (const auto& c : own) {
    auto settle = [&](auto then) { db->settle({c, duty::copy, {}}, std::move(then)); };
    ASSERT_TRUE(wait_for<void>(settle));
  }
  reopen();
  EXPECT_EQ(step({.mark = 5, .limit = 4}), s);
  EXPECT_TRUE(listed().empty());
  s = step({.mark = 5, .again = true, .limit = 100});
  EXPECT_TRUE(s.audit);
  EXPECT_FALSE(s.running);
  EXPECT_EQ(listed(), own);
  s = step({.mark = 6, .limit = 4});
  EXPECT_TRUE(s.running);
  EXPECT_FALSE(s.audit);
}

TEST_F(ReplicationWalk, BeginsAnewAfterATimeWithoutCopies) {
  reopen();
  const walk_order order{.mark = 5};
  EXPECT_FALSE(step(order).running);
  db->set_replication({});
  const auto c = put(*db, noise(10, 1))->cid;
  reopen();
  EXPECT_TRUE(listed().empty());
  EXPECT_EQ(step(order).walked, 1u);
  EXPECT_EQ(listed(), std::set{c});
}

TEST(ReplicationWalkInRam, FindsWhatWasPutBeforeAndNothingTwice) {
  core::manual_clock clock;
  auto db = make_ram_backend(1u << 20, clock);
  auto step = [&](std::uint64_t mark) {
    return wait_for<walk_state>([&](auto then) { db->walk({.mark = mark}, std::move(then)); });
  };
  auto listed = [&] { return db->work({}, 100)->size(); };
  auto settle_all = [&] {
    const auto page = db->work({}, 100);
    for (const auto& w : *page)
      ASSERT_TRUE(wait_for<void>(
        [&](auto then) { db->settle({w.cid, w.what, {}}, std::move(then)); }));
  };
  db->set_replication({.copies = true, .others = true});
  ASSERT_TRUE(put(*db, noise(10, 1)));
  settle_all();
  ASSERT_TRUE(step(5));
  EXPECT_EQ(listed(), 0u) << "noted when it was put";
  ASSERT_TRUE(step(6));
  EXPECT_EQ(listed(), 1u) << "more copies of it";
  settle_all();
  ASSERT_TRUE(step(6));
  EXPECT_EQ(listed(), 0u);
  db->set_replication({.copies = false, .others = true});
  ASSERT_TRUE(put(*db, noise(10, 2)));
  EXPECT_EQ(listed(), 0u);
  db->set_replication({.copies = true, .others = true});
  ASSERT_TRUE(step(6));
  EXPECT_EQ(listed(), 2u) << "also with the mark of before";
}

TEST_F(ReplicationWalk, TheIdOfTheStoreOutlivesTheProcess) {
  auto id = [&] {
    return *wait_for<store_id>([&](auto then) { db->identify(std::move(then)); });
  };
  const auto before = id();
  reopen();
  EXPECT_EQ(id(), before);
}

TEST_F(ReplicationWalk, ADeleteOutlivesTheProcess) {
  reopen();
  const auto c = put(*db, noise(10, 1))->cid;
  ASSERT_TRUE(del(*db, c));
  ASSERT_TRUE(wait_for<void>(
    [&](auto then) { db->settle({c, duty::release, 3}, std::move(then)); }));
  reopen();
  EXPECT_EQ(*db->releases({}, 10), (std::vector{work_item{c, duty::release, {3}}}));
}

/// What somebody found gone may have been put again before the store hears of it.
TEST(ReplicationWork, WhatWasFoundPointlessIsDoneIfItHasComeBack) {
  const temporary_folder folder;
  core::manual_clock clock;
  std::unique_ptr<backend> stores[] = {open_lmdb(lmdb_options(folder), clock),
                                       make_ram_backend(0, clock)};
  for (auto& db : stores) {
    db->set_replication({.copies = true, .others = true});
    const auto body = noise(10, 1);
    const auto c = put(*db, body)->cid;
    const auto settle = [&](bool pointless) {
      ASSERT_TRUE(wait_for<void>([&](auto then) {
        db->settle({c, duty::copy, {}, pointless}, std::move(then));
      }));
    };
    settle(true);
    EXPECT_EQ(db->work({}, 10)->size(), 1u) << "it is here, so there is a copy to make";
    settle(false);
    EXPECT_TRUE(db->work({}, 10)->empty());
    ASSERT_TRUE(put(*db, noise(10, 2), tenant_of(77), 100'000, origin::replica));
    EXPECT_TRUE(db->work({}, 10)->empty());
    // Gone: the same settlement ends the duty.
    ASSERT_TRUE(put(*db, body, tenant_of(5)));
    ASSERT_TRUE(wait_for<void>([&](auto then) { db->del(c, {}, std::move(then)); }));
    settle(true);
    EXPECT_TRUE(db->work({}, 10)->empty());
    EXPECT_EQ(db->releases({}, 10)->size(), 1u);
    db.reset();
  }
}

/// A repair that was pointless when somebody looked may be wanted by now.
TEST(ReplicationWork, ARepairIsWantedAsLongAsTheObjectIsDamaged) {
  const temporary_folder folder;
  core::manual_clock clock;
  const auto options = lmdb_options(folder);
  auto db = open_lmdb(options, clock);
  const auto body = noise(200'000, 1);
  const auto c = put(*db, body)->cid;
  const auto repair = [&] {
    auto all = db->work({}, 10);
    return all && all->size() == 1 && all->front().what == duty::repair;
  };
  const auto settle_pointless = [&] {
    ASSERT_TRUE(wait_for<void>(
      [&](auto then) { db->settle({c, duty::repair, {}, true}, std::move(then)); }));
  };
  db.reset();
  {
    std::fstream file{options.path + "/data.mdb", std::ios::in | std::ios::out | std::ios::binary};
    std::string all{std::istreambuf_iterator<char>{file}, {}};
    const auto at = all.find(std::string{body.begin() + 1'000, body.begin() + 1'100});
    ASSERT_NE(at, all.npos);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(all[at] ^ 1));
  }
  db = open_lmdb(options, clock);
  db->set_replication({.copies = true, .others = true});
  EXPECT_FALSE(db->read(c, 0, 100));
  ASSERT_TRUE(eventually(repair));
  settle_pointless();
  EXPECT_TRUE(repair()) << "it is damaged";
  ASSERT_TRUE(wait_for<void>([&](auto then) { db->del(c, {}, std::move(then)); }));
  settle_pointless();
  EXPECT_FALSE(repair());
}

} // namespace
