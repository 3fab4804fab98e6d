#include "storage_fixture.hpp"

#include <algorithm>
#include <set>
#include <thread>

namespace {

using namespace ron::test;

struct ram {
  static std::unique_ptr<backend> open(const temporary_folder&, std::uint64_t quota,
                                       const core::clock& clock) {
    return make_ram_backend(quota, clock);
  }
};
struct lmdb {
  static std::unique_ptr<backend> open(const temporary_folder& folder, std::uint64_t quota,
                                       const core::clock& clock) {
    auto options = lmdb_options(folder);
    options.quota = quota;
    return open_lmdb(options, clock);
  }
};

/// What holds for every back end.
template <class Maker>
struct Backend : ::testing::Test {
  void open(std::uint64_t quota) {
    db.reset();
    db = Maker::open(folder, quota, clock);
  }
  Backend() { open(0); }

  temporary_folder folder;
  core::manual_clock clock;
  std::unique_ptr<backend> db;
};

using makers = ::testing::Types<ram, lmdb>;
struct names {
  template <class T>
  static std::string GetName(int) {
    return std::is_same_v<T, ram> ? "Ram" : "Lmdb";
  }
};
TYPED_TEST_SUITE(Backend, makers, names);

TYPED_TEST(Backend, GivesBackWhatItWasGiven) {
  auto& db = *this->db;
  for (std::size_t n : {std::size_t{0}, std::size_t{1}, std::size_t{1'000}, b3::group_bytes - 1,
                        b3::group_bytes, b3::group_bytes + 1, 3 * b3::group_bytes,
                        65 * b3::group_bytes + 7}) {
    auto data = noise(n, n + 1);
    auto r = put(db, data);
    ASSERT_TRUE(r) << n << ' ' << r.error().message;
    EXPECT_EQ(r->cid, b3::cid_of(data));
    EXPECT_EQ(r->size, n);
    EXPECT_FALSE(r->existed);
    auto info = db.head(r->cid);
    ASSERT_TRUE(info);
    EXPECT_EQ(info->size, n);
    EXPECT_EQ(info->state, object_state::complete);
    EXPECT_EQ(info->holders, 1u);
    EXPECT_EQ(info->last_put_ms, this->clock.wall_ms());
    auto back = get(db, r->cid, 0, n);
    ASSERT_TRUE(back) << n << ' ' << back.error().message;
    EXPECT_TRUE(*back == data) << n;
  }
  auto empty = db.read(b3::cid_of({}), 0, 10);
  ASSERT_TRUE(empty);
  EXPECT_TRUE(empty->data.empty());
  EXPECT_EQ(db.stats().objects, 8u);
}

TYPED_TEST(Backend, EveryRangeEqualsTheSource) {
  constexpr std::uint64_t seed = 4'711;
  SCOPED_TRACE("seed " + std::to_string(seed));
  auto& db = *this->db;
  auto data = noise((5u << 20) + 12'345, seed);
  auto r = put(db, data);
  ASSERT_TRUE(r);
  std::mt19937_64 rng{seed};
  for (int i = 0; i < 2'000; ++i) {
    auto from = rng() % data.size();
    auto length = 1 + rng() % (rng() % 8 ? 70'000 : 400'000);
    auto to = std::min<std::uint64_t>(data.size(), from + length);
    auto part = get(db, r->cid, from, to);
    ASSERT_TRUE(part) << part.error().message;
    ASSERT_TRUE(std::equal(part->begin(), part->end(), data.begin() + static_cast<long>(from),
                           data.begin() + static_cast<long>(to)))
      << from << ".." << to;
  }
  EXPECT_EQ(db.read(r->cid, data.size(), 1).error().code, ec::range_not_satisfiable);
  EXPECT_EQ(db.read(r->cid, 0, 0).error().code, ec::bad_request);
  EXPECT_EQ(db.stats().corrupt, 0u);
}

TYPED_TEST(Backend, ReadsHotBytesWithoutWaiting) {
  auto& db = *this->db;
  auto data = noise(300'000, 1);
  auto r = put(db, data);
  ASSERT_TRUE(r);
  auto now = db.try_read(r->cid, 70'000, 1'000);
  ASSERT_TRUE(now) << "just written: in memory";
  ASSERT_TRUE(*now);
  EXPECT_EQ((*now)->object_size, data.size());
  EXPECT_EQ((*now)->data.size(), 1'000u);
  EXPECT_EQ(std::memcmp((*now)->data.data(), data.data() + 70'000, 1'000), 0);
  auto missing = db.try_read({}, 0, 1);
  ASSERT_TRUE(missing);
  EXPECT_EQ(missing->error().code, ec::not_found);
}

TYPED_TEST(Backend, StoresIdenticalObjectsOncePerNodeNotPerTenant) {
  auto& db = *this->db;
  auto data = noise(200'000, 1);
  ASSERT_TRUE(put(db, data, tenant_of(1)));
  auto once = db.stats().bytes;
  auto again = put(db, data, tenant_of(1));
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->existed);
  auto other = put(db, data, tenant_of(2));
  ASSERT_TRUE(other);
  EXPECT_FALSE(other->existed) << "new to this tenant";
  EXPECT_EQ(db.stats().objects, 1u);
  EXPECT_LT(db.stats().bytes, once + 200);
  EXPECT_EQ(db.head(other->cid)->holders, 2u);
  EXPECT_TRUE(eventually([&] { return db.stats().reserved == 0; }));
}

TYPED_TEST(Backend, DeletesWithTheLastHolder) {
  auto& db = *this->db;
  auto data = noise(200'000, 1);
  auto c = put(db, data, tenant_of(1))->cid;
  ASSERT_TRUE(put(db, data, tenant_of(2)));
  EXPECT_EQ(del(db, c, tenant_of(3)).error().code, ec::not_found) << "does not hold it";
  EXPECT_TRUE(del(db, c, tenant_of(1)));
  EXPECT_EQ(del(db, c, tenant_of(1)).error().code, ec::not_found);
  EXPECT_TRUE(get(db, c, 0, data.size()));
  EXPECT_TRUE(del(db, c, tenant_of(2)));
  EXPECT_EQ(db.head(c).error().code, ec::not_found);
  EXPECT_EQ(db.read(c, 0, 1).error().code, ec::not_found);
  EXPECT_EQ(db.stats().bytes, 0u);
  EXPECT_EQ(db.stats().objects, 0u);
  ASSERT_TRUE(put(db, data, tenant_of(1)));
  ASSERT_TRUE(put(db, data, tenant_of(2)));
  EXPECT_TRUE(del(db, c, {})) << "the operator takes off all holds";
  EXPECT_EQ(db.head(c).error().code, ec::not_found);
  EXPECT_EQ(db.stats().bytes, 0u);
}

TYPED_TEST(Backend, PinnedObjectsStay) {
  auto& db = *this->db;
  auto c = put(db, noise(10, 1))->cid;
  EXPECT_EQ(pin(db, c)->pins, 1u);
  EXPECT_EQ(pin(db, c)->pins, 2u);
  EXPECT_EQ(del(db, c).error().code, ec::conflict);
  EXPECT_EQ(unpin(db, c)->pins, 1u);
  EXPECT_EQ(del(db, c, {}).error().code, ec::conflict) << "not even the operator";
  EXPECT_EQ(unpin(db, c)->pins, 0u);
  EXPECT_EQ(unpin(db, c).error().code, ec::not_found);
  EXPECT_TRUE(del(db, c));
  EXPECT_EQ(pin(db, c).error().code, ec::not_found);
}

TYPED_TEST(Backend, ListsPinnedObjectsInPages) {
  auto& db = *this->db;
  EXPECT_TRUE(db.pins({}, 10)->items.empty());
  std::set<core::cid> pinned;
  for (std::uint64_t i = 0; i < 7; ++i) {
    auto c = put(db, noise(10 + i, i))->cid;
    if (i == 3)
      continue;
    ASSERT_TRUE(pin(db, c));
    pinned.insert(c);
  }
  ASSERT_TRUE(pin(db, *pinned.begin())) << "a second pin is no second item";
  std::vector<core::cid> seen;
  for (std::optional<core::cid> at;;) {
    auto page = db.pins(at, 2);
    ASSERT_TRUE(page);
    EXPECT_LE(page->items.size(), 2u);
    for (const auto& o : page->items) {
      seen.push_back(o.cid);
      EXPECT_EQ(o.pins, o.cid == *pinned.begin() ? 2u : 1u);
    }
    if (!page->next)
      break;
    at = page->next;
  }
  EXPECT_TRUE(std::ranges::equal(seen, pinned));
  for (const auto& c : pinned)
    ASSERT_TRUE(unpin(db, c));
  EXPECT_EQ(db.pins({}, 10)->items.size(), 1u) << "one was pinned twice";
  ASSERT_TRUE(unpin(db, *pinned.begin()));
  EXPECT_TRUE(db.pins({}, 10)->items.empty());
}

TYPED_TEST(Backend, RefusesAboveTheQuotaAndFreesWithTheUpload) {
  this->open(1u << 20);
  auto& db = *this->db;
  auto first = noise(700'000, 1);
  auto c = put(db, first);
  ASSERT_TRUE(c);
  auto taken = db.stats().bytes;
  EXPECT_GE(taken, first.size());
  auto refused = put(db, noise(700'000, 2));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::store_quota);
  EXPECT_EQ(put(db, noise(400'000, 3)).error().code, ec::store_quota) << "in the last group";
  EXPECT_EQ(db.stats().bytes, taken);
  EXPECT_TRUE(eventually([&] { return db.stats().puts_failed == 2 && db.stats().reserved == 0; }));
  EXPECT_TRUE(get(db, c->cid, 0, first.size())) << "what is there stays";
  ASSERT_TRUE(del(db, c->cid));
  EXPECT_TRUE(put(db, noise(700'000, 2)));
}

TYPED_TEST(Backend, AnAbortedUploadLeavesNothing) {
  auto& db = *this->db;
  {
    auto data = noise(10 * b3::group_bytes, 1);
    put_assembler a{data.size()};
    ASSERT_TRUE(a.add(data));
    auto to = db.begin();
    while (auto g = a.next())
      ASSERT_TRUE(wait_for<void>([&](auto then) { to->add(std::move(*g), std::move(then)); }));
    EXPECT_EQ(db.stats().puts_open, 1u);
    EXPECT_EQ(db.stats().reserved, 9 * b3::group_bytes);
    EXPECT_EQ(db.load().puts_open, 1u);
  }
  EXPECT_TRUE(eventually([&] { return db.stats().puts_open == 0; }));
  auto s = db.stats();
  EXPECT_EQ(s.puts_failed, 1u);
  EXPECT_EQ(s.reserved, 0u);
  EXPECT_EQ(s.objects, 0u);
  EXPECT_EQ(s.pending_bytes, 0u);
}

std::set<core::cid> ids_of(const result<std::vector<work_item>>& page) {
  std::set<core::cid> out;
  for (const auto& item : *page)
    out.insert(item.cid);
  return out;
}

TYPED_TEST(Backend, NotesWhatHasToBeCopied) {
  auto& db = *this->db;
  ASSERT_TRUE(put(db, noise(10, 1)));
  EXPECT_TRUE(db.work({}, 10)->empty()) << "not replicated";
  db.set_replication({.copies = true, .others = true});
  std::set<core::cid> wanted;
  for (std::uint64_t n = 2; n < 7; ++n)
    wanted.insert(put(db, noise(70'000, n))->cid);
  ASSERT_TRUE(put(db, noise(70'000, 2), tenant_of(2))); // was there already
  ASSERT_TRUE(put(db, noise(70'000, 9), tenant_of(9), 100'000, origin::replica));
  std::set<core::cid> seen;
  std::optional<core::cid> after;
  for (;;) {
    auto page = db.work(after, 2);
    ASSERT_TRUE(page);
    for (const auto& item : *page) {
      EXPECT_EQ(item.what, duty::copy);
      EXPECT_TRUE(seen.insert(item.cid).second);
    }
    if (page->size() < 2)
      break;
    after = page->back().cid;
  }
  EXPECT_EQ(seen, wanted) << "what was put once, and no replica";
  EXPECT_EQ(db.stats().work, wanted.size());
  const auto first = *wanted.begin();
  auto settle = [&](const settlement& s) {
    return wait_for<void>([&](auto then) { db.settle(s, std::move(then)); });
  };
  EXPECT_TRUE(settle({first, duty::repair})) << "another duty: nothing happens";
  EXPECT_EQ(db.stats().work, wanted.size());
  for (int i = 0; i < 2; ++i) // once is enough
    EXPECT_TRUE(settle({first, duty::copy, 77}));
  EXPECT_EQ(db.work({}, 1)->front(), (work_item{first, duty::copy, {77}}));
  EXPECT_TRUE(settle({first, duty::copy}));
  EXPECT_TRUE(settle({first, duty::copy}));
  EXPECT_EQ(db.stats().work, wanted.size() - 1);
  ASSERT_TRUE(put(db, noise(70'000, 9)));
  EXPECT_EQ(db.stats().work, wanted.size()) << "another node's copy that is our own now";
}

TYPED_TEST(Backend, ADeleteIsToldToThePeersUntilItIsPutAgain) {
  auto& db = *this->db;
  db.set_replication({.copies = true, .others = true, .releases_max = 2});
  const auto data = noise(70'000, 1);
  const auto c = put(db, data)->cid;
  ASSERT_TRUE(put(db, data, tenant_of(2)));
  ASSERT_TRUE(del(db, c, tenant_of(2)));
  EXPECT_TRUE(db.releases({}, 10)->empty()) << "another tenant holds it";
  EXPECT_EQ(db.stats().work, 1u);
  ASSERT_TRUE(del(db, c));
  EXPECT_EQ(ids_of(db.releases({}, 10)), std::set{c});
  EXPECT_EQ(db.stats().work, 0u) << "what is gone needs no copy";
  EXPECT_EQ(db.stats().releases, 1u);
  ASSERT_TRUE(put(db, data));
  EXPECT_TRUE(db.releases({}, 10)->empty());
  EXPECT_EQ(ids_of(db.work({}, 10)), std::set{c});
  // What was another node's all along is nothing that peers keep for us.
  const auto theirs = put(db, noise(10, 2), tenant_of(9), 100'000, origin::replica)->cid;
  ASSERT_TRUE(del(db, theirs, core::tenant{}));
  EXPECT_TRUE(db.releases({}, 10)->empty());
  // The list has a bound; deletes work beyond it.
  ASSERT_TRUE(del(db, c));
  for (std::uint64_t n = 3; n < 6; ++n)
    ASSERT_TRUE(del(db, put(db, noise(10, n))->cid));
  EXPECT_EQ(db.stats().releases, 2u);
  EXPECT_EQ(db.stats().releases_lost, 2u);
  auto settle = [&](const settlement& s) {
    return wait_for<void>([&](auto then) { db.settle(s, std::move(then)); });
  };
  ASSERT_TRUE(settle({c, duty::release, 5}));
  ASSERT_TRUE(settle({c, duty::release}));
  EXPECT_EQ(db.stats().releases, 1u);
}

TYPED_TEST(Backend, KeepsForOtherNodesUntilTheyLetGo) {
  auto& db = *this->db;
  db.set_replication({.copies = true, .others = true});
  const auto a = tenant_of(101);
  const auto b = tenant_of(102);
  const auto data = noise(70'000, 1);
  const auto c = b3::cid_of(data);
  auto keep = [&](const store_id& node) {
    return wait_for<bool>([&](auto then) { db.keep(c, node, std::move(then)); });
  };
  auto release = [&](const store_id& node, bool needed = false) {
    return wait_for<void>([&](auto then) { db.release(c, node, needed, std::move(then)); });
  };
  EXPECT_FALSE(*keep(a)) << "not here";
  EXPECT_TRUE(release(a)) << "nor is that an error";
  ASSERT_TRUE(put(db, data, a, 100'000, origin::replica));
  EXPECT_TRUE(*keep(a));
  EXPECT_TRUE(*keep(b));
  EXPECT_EQ(db.head(c)->holders, 2u);
  EXPECT_EQ(db.stats().work, 0u);
  ASSERT_TRUE(release(a));
  ASSERT_TRUE(release(a)) << "twice";
  EXPECT_TRUE(db.head(c)) << "b needs it";
  ASSERT_TRUE(release(b, true));
  EXPECT_TRUE(db.head(c)) << "a name here needs it";
  ASSERT_TRUE(put(db, data)); // a tenant of ours
  ASSERT_TRUE(release(b));
  EXPECT_EQ(db.head(c)->holders, 1u);
  EXPECT_TRUE(release(tenant_of(1))) << "a tenant is no node";
  EXPECT_TRUE(db.head(c));
  EXPECT_TRUE(*keep(b));
  ASSERT_TRUE(del(db, c));
  EXPECT_TRUE(db.head(c)) << "our own hold has ended, b's has not";
  EXPECT_EQ(ids_of(db.releases({}, 10)), std::set{c});
  EXPECT_EQ(db.stats().work, 0u);
  ASSERT_TRUE(release(b));
  EXPECT_FALSE(db.head(c));
  EXPECT_EQ(db.stats().objects, 0u);
}

TYPED_TEST(Backend, HasAnIdOfItsOwn) {
  auto ask = [&] {
    return *wait_for<store_id>([&](auto then) { this->db->identify(std::move(then)); });
  };
  const auto id = ask();
  EXPECT_FALSE(id.is_zero());
  EXPECT_EQ(ask(), id);
}

TYPED_TEST(Backend, ARepairOfWhatIsNotThereOrWholeChangesNothing) {
  auto& db = *this->db;
  const auto data = noise(200'000, 1);
  auto r = put(db, data, {}, 100'000, origin::repair);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ec::not_found);
  EXPECT_EQ(db.stats().objects, 0u);
  ASSERT_TRUE(put(db, data));
  const auto before = db.stats().bytes;
  ASSERT_TRUE(put(db, data, {}, 100'000, origin::repair));
  EXPECT_EQ(db.head(b3::cid_of(data))->holders, 1u);
  EXPECT_EQ(db.stats().bytes, before);
  EXPECT_TRUE(eventually([&] { return db.stats().reserved == 0; }));
}

TYPED_TEST(Backend, ServesManyThreads) {
  auto& db = *this->db;
  std::vector<byte_vector> data;
  for (std::size_t i = 0; i < 6; ++i)
    data.push_back(noise(90'000 * (i + 1), i));
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (std::size_t t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      auto holder = tenant_of(static_cast<std::uint8_t>(t + 1));
      for (std::size_t round = 0; round < 12; ++round) {
        const auto& mine = data[(t + round) % data.size()];
        auto r = put(db, mine, holder);
        auto back = r ? get(db, r->cid, 0, mine.size()) : fail(ec::internal, "");
        if (!back || *back != mine || !del(db, r->cid, holder))
          ++wrong;
      }
    });
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(db.stats().objects, 0u);
  EXPECT_EQ(db.stats().bytes, 0u);
}

} // namespace
