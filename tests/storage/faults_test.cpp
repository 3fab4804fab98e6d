#include "storage_fixture.hpp"

#include <atomic>
#include <cerrno>
#include <map>
#include <mutex>
#include <set>

namespace {

using namespace ron::test;
namespace store = core::store;

/// Fails every n-th write or sync with an errno and notes what reached the disk.
struct injector final : store::faults {
  std::atomic<int> write_every{0}, sync_every{0}, code{EIO}, writes{0}, syncs{0}, met{0};
  std::atomic<std::uint64_t> begun{0}, reached{0};

  int on_write() noexcept override { return hit(++writes, write_every) ? code.load() : 0; }
  int on_sync() noexcept override {
    ++begun;
    return hit(++syncs, sync_every) ? code.load() : 0;
  }
  void synced() noexcept override { ++reached; }
  bool hit(int n, int every) noexcept {
    const bool now = every > 0 && n % every == 0;
    met += now;
    return now;
  }
};

struct StorageFaults : ::testing::Test {
  temporary_folder folder;
  core::manual_clock clock;
  injector injected;
  lmdb_backend_options options = lmdb_options(folder);
  std::unique_ptr<backend> db = open_lmdb(options, clock, &injected);

  std::map<core::cid, byte_vector> stored;    ///< acknowledged and not deleted since
  std::map<core::cid, std::uint32_t> pins;    ///< of those
  std::map<core::cid, byte_vector> in_doubt;  ///< a write of it failed: whole or not there
  int failed = 0;

  void failure(const core::error& e, int code) {
    ++failed;
    const auto expected = code == ENOSPC ? ec::disk_full : ec::degraded;
    EXPECT_EQ(e.code, expected) << to_string(e.code) << ' ' << e.message;
    EXPECT_FALSE(e.message.empty());
  }

  /// A few of everything, as the acknowledgements say; returns nothing, the model knows.
  void work(std::mt19937_64& rng, int code) {
    for (int i = 0; i < 12; ++i) {
      auto data = noise(rng() % 3 == 0 ? rng() % 400'000 : rng() % 5'000, rng());
      auto c = b3::cid_of(data);
      if (auto r = put(*db, data)) {
        EXPECT_EQ(r->cid, c);
        stored[c] = data;
      } else {
        failure(r.error(), code);
        in_doubt[c] = data;
      }
      if (stored.empty())
        continue;
      auto victim = std::next(stored.begin(), static_cast<long>(rng() % stored.size()))->first;
      if (rng() % 2 == 0) {
        if (auto r = pin(*db, victim)) {
          EXPECT_EQ(r->pins, ++pins[victim]);
        } else {
          failure(r.error(), code);
        }
      } else if (auto r = del(*db, victim); r) {
        EXPECT_EQ(pins[victim], 0u) << "a pinned object was deleted";
        stored.erase(victim);
      } else if (r.error().code == ec::conflict) {
        EXPECT_GT(pins[victim], 0u);
      } else {
        failure(r.error(), code);
      }
    }
  }

  /// As a shard asks, which is told to come again while the file is being opened anew.
  core::result<object_info> head(const core::cid& c) {
    core::result<object_info> r;
    EXPECT_TRUE(eventually([&] {
      r = db->head(c);
      return r || r.error().code != ec::busy;
    }));
    return r;
  }

  void check(const std::string& when) {
    SCOPED_TRACE(when);
    for (const auto& [c, data] : stored) {
      auto back = get(*db, c, 0, data.size());
      ASSERT_TRUE(back) << back.error().message;
      ASSERT_TRUE(*back == data);
      const auto info = head(c);
      ASSERT_TRUE(info) << info.error().message;
      ASSERT_EQ(info->pins, pins[c]);
    }
    for (const auto& [c, data] : in_doubt) {
      if (!stored.contains(c) && head(c)) {
        EXPECT_TRUE(*get(*db, c, 0, data.size()) == data) << "a hole";
      }
    }
    EXPECT_EQ(db->stats().objects, stored.size()) << "a failure that has an effect";
  }
};

TEST_F(StorageFaults, EveryNthWriteOrSyncFailingLosesNothingAndHeals) {
  const std::uint64_t seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng{seed};
  for (int code : {EIO, ENOSPC})
    for (bool sync : {false, true})
      for (int every = 1; every <= 9; ++every) {
        SCOPED_TRACE((sync ? "sync " : "write ") + std::to_string(every) + " errno "
                     + std::to_string(code));
        const int met_before = injected.met;
        const int failed_before = failed;
        const auto uncollected_before = db->stats().collect_failed;
        injected.code = code;
        injected.writes = injected.syncs = 0;
        (sync ? injected.sync_every : injected.write_every) = every;
        work(rng, code);
        injected.sync_every = injected.write_every = 0;
        // Who waits for a write is told of its failure; the collection of what was deleted, which
        // nobody waits for, counts it. A call and a step of the collection fail by one write. A
        // sync fails the one, the other or both.
        const auto told = static_cast<std::uint64_t>(failed - failed_before);
        std::uint64_t met = 0;
        std::uint64_t uncollected = 0;
        EXPECT_TRUE(eventually([&] {
          uncollected = db->stats().collect_failed - uncollected_before;
          met = static_cast<std::uint64_t>(injected.met - met_before);
          return sync ? told + uncollected >= met : told + uncollected == met;
        })) << told << " told and " << uncollected << " counted of " << met;
        EXPECT_GT(met, 0u) << "the fault was not met";
        EXPECT_LE(told, met) << "a failure without a fault";
        EXPECT_LE(uncollected, met) << "a failure without a fault";
        if (every == 1) {
          EXPECT_GE(told, 12u) << "of as many uploads";
        }
        // Without a restart: what was acknowledged is there, and everything works again.
        check("healed");
        if (HasFatalFailure())
          return;
        auto data = noise(200'000, rng());
        auto r = put(*db, data);
        ASSERT_TRUE(r) << r.error().message;
        ASSERT_TRUE(db->stats().writable);
        ASSERT_TRUE(del(*db, r->cid));
        in_doubt.clear();
      }
  EXPECT_TRUE(eventually([&] { return db->stats().reserved == 0; })) << "quota leaks";
  auto bytes = db->stats().bytes;
  db.reset();
  db = open_lmdb(options, clock, &injected);
  check("opened again");
  EXPECT_EQ(db->stats().bytes, bytes) << "the sums on disk";
}

TEST_F(StorageFaults, ReadsGoOnWhileEveryWriteFails) {
  auto data = noise(300'000, 1);
  auto c = put(*db, data)->cid;
  for (int code : {EIO, ENOSPC}) {
    injected.code = code;
    injected.sync_every = 1;
    for (int i = 0; i < 10; ++i) {
      EXPECT_FALSE(put(*db, noise(1'000, static_cast<std::uint64_t>(i) + 10)));
      EXPECT_FALSE(db->stats().writable);
      EXPECT_TRUE(*get(*db, c, 0, data.size()) == data);
    }
    injected.sync_every = 0;
    EXPECT_FALSE(del(*db, c, tenant_of(9))) << "not its holder";
    ASSERT_TRUE(pin(*db, c));
    EXPECT_TRUE(db->stats().writable);
  }
}

TEST_F(StorageFaults, AnUploadSaysWhyItsFirstGroupFailed) {
  // Groups and record share a batch: what came after the failure fails for lack of it.
  injected.code = ENOSPC;
  put_assembler a{1u << 20};
  auto data = noise(3 * b3::group_bytes + 1, 1);
  ASSERT_TRUE(a.add(data));
  std::atomic<bool> held{false};
  auto to = db->begin();
  injected.write_every = 1;
  std::optional<full_group> g = a.next();
  to->add(std::move(*g), [&](const result<void>&) {
    injected.write_every = 0; // the others could be written
    held = true;
  });
  ASSERT_TRUE(eventually([&] { return held.load(); }));
  while ((g = a.next()))
    to->add(std::move(*g), [](const result<void>&) {});
  auto r = wait_for<put_result>(
    [&](auto then) { to->commit(a.finish(), tenant_of(1), std::move(then)); });
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ec::disk_full) << r.error().message;
}

TEST_F(StorageFaults, NoOutcomeBeforeTheSyncThatContainsIt) {
  // The order of events as the seam sees them: a commit begins, reaches the disk, and only then
  // is anybody told.
  std::mutex mutex;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> told; // syncs that had ended: then, now
  std::atomic<int> open{0};
  for (int round = 0; round < 20; ++round)
    for (int k = 0; k < 6; ++k) {
      auto data = noise(static_cast<std::size_t>(1 + k * 700),
                        static_cast<std::uint64_t>(round * 10 + k));
      put_assembler a{1u << 20};
      ASSERT_TRUE(a.add(data));
      const auto asked = injected.reached.load();
      ++open;
      db->begin()->commit(a.finish(), tenant_of(1), [&, asked](const result<put_result>& r) {
        const auto now = injected.reached.load();
        std::lock_guard guard{mutex};
        if (r)
          told.emplace_back(asked, now);
        EXPECT_EQ(injected.begun.load(), now) << "a reply between a commit and its sync";
        --open;
      });
    }
  ASSERT_TRUE(eventually([&] { return open == 0; }));
  std::lock_guard guard{mutex};
  ASSERT_EQ(told.size(), 120u);
  for (auto [asked, now] : told)
    EXPECT_GT(now, asked) << "told of success with no commit in between";
}

} // namespace
