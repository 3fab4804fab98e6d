#include "store_fixture.hpp"
#include "support/eventually.hpp"

#include <limits>
#include <thread>

namespace {

using namespace ron::test;

struct StoreWriter : StoreFixture {};

TEST_F(StoreWriter, ComparesAndSetsInsideTheBatch) {
  open();
  auto increment = [](transaction& t) -> result<void> {
    auto old = t.get(data, text("n"));
    auto n = old ? load<std::uint64_t>(*old) : 0;
    return t.put(data, text("n"), key::of(n + 1));
  };
  std::vector<std::future<result<void>>> all;
  for (int i = 0; i < 500; ++i)
    all.push_back(submit(increment, static_cast<std::uint64_t>(i % 7)));
  for (auto& f : all)
    EXPECT_TRUE(wait(std::move(f)));
  auto view = env->read();
  EXPECT_EQ(load<std::uint64_t>(*view->get(data, text("n"))), 500u);
  EXPECT_LT(log->stats().commits, 500u) << "group commit";
  EXPECT_EQ(log->stats().jobs, 500u);
}

TEST_F(StoreWriter, AFailedJobIsRolledBackAlone) {
  open();
  gate g;
  auto held = submit(g.job());
  g.entered.wait();
  auto before = submit([](transaction& t) { return t.put(data, text("before"), text("1")); });
  auto clean = submit([](transaction& t) { return t.insert(data, text("before"), text("2")); });
  auto dirty = submit([](transaction& t) -> result<void> {
    if (auto ok = t.put(data, text("before"), text("spoilt")); !ok)
      return ok;
    (void)t.put(data, text("half"), text("done"));
    return fail(ec::precondition_failed, "too late");
  });
  auto threw = submit([](transaction& t) -> result<void> {
    (void)t.put(data, text("half"), text("done"));
    throw std::runtime_error("boom");
  });
  auto after = submit([](transaction& t) { return t.put(data, text("after"), text("3")); });
  g.open.count_down();
  EXPECT_TRUE(wait(std::move(held)));
  EXPECT_TRUE(wait(std::move(before)));
  EXPECT_EQ(wait(std::move(clean)).error().code, ec::conflict);
  EXPECT_EQ(wait(std::move(dirty)).error().code, ec::precondition_failed);
  EXPECT_EQ(wait(std::move(threw)).error().code, ec::internal);
  EXPECT_TRUE(wait(std::move(after)));
  EXPECT_EQ(get("before"), "1");
  EXPECT_EQ(get("half"), "not_found");
  EXPECT_EQ(get("after"), "3");
  EXPECT_EQ(log->stats().replays, 2u);
  EXPECT_EQ(log->stats().failed_jobs, 3u);
}

TEST_F(StoreWriter, RefusesWhenTheQueueIsFullAndAfterTheStop) {
  open(options(), {.queue = {.jobs_max = 2, .bytes_max = 1'000}});
  gate g;
  auto held = submit(g.job());
  g.entered.wait();
  auto nop = [](transaction&) -> result<void> { return {}; };
  auto first = submit(nop, 1, 500);
  EXPECT_EQ(wait(submit(nop, 2, 501)).error().code, ec::busy) << "bytes";
  auto second = submit(nop, 2, 1);
  EXPECT_EQ(wait(submit(nop, 3, 1)).error().code, ec::busy) << "count";
  EXPECT_EQ(log->stats().queued_jobs, 2u);
  EXPECT_EQ(log->stats().queued_bytes, 501u);
  g.open.count_down();
  log->stop();
  for (auto* f : {&held, &first, &second})
    EXPECT_TRUE(wait(std::move(*f))) << "stop commits what is queued";
  EXPECT_EQ(wait(submit(nop)).error().code, ec::draining);
  EXPECT_EQ(log->stats().refused_jobs, 3u);
}

TEST_F(StoreWriter, ReportsOnlyAfterTheCommit) {
  open();
  std::promise<std::string> seen;
  log->submit({0, 1, false, [](transaction& t) { return t.put(data, text("k"), text("v")); },
               [&](result<void> r) { seen.set_value(r ? get("k") : "failed"); }});
  EXPECT_EQ(seen.get_future().get(), "v") << "another transaction sees it";
}

TEST_F(StoreWriter, APartOfAJobClaimsRoomOfItsOwn) {
  auto small = options();
  small.map_bytes = 1u << 20;
  open(small);
  const std::string value(100'000, 'v');
  std::size_t fitted = 0;
  auto job = [&](transaction& t) -> result<void> {
    fitted = 0; // it may run again
    for (int i = 0; i < 40 && t.claim(value.size()); ++i, ++fitted)
      if (auto ok = t.put(data, text(std::to_string(i)), text(value)); !ok)
        return ok;
    return {};
  };
  EXPECT_TRUE(wait(submit(job, 0, 40 * value.size(), true)));
  EXPECT_GT(fitted, 4u);
  EXPECT_LT(fitted, 10u);
  EXPECT_EQ(wait(submit([&](transaction& t) { return t.put(data, text("x"), text(value)); }, 0,
                        value.size()))
              .error()
              .code,
            ec::store_quota) << "a job as a whole claims from the same room";
}

TEST_F(StoreWriter, AFailedSyncFailsTheBatchAndReopens) {
  open();
  ASSERT_TRUE(put("a", "1"));
  injected.syncs = 0;
  injected.sync_every = 1;
  auto failed = put("a", "2");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ec::degraded);
  injected.sync_every = 0;
  EXPECT_EQ(get("a"), "1");
  ASSERT_TRUE(put("a", "3"));
  EXPECT_EQ(get("a"), "3");
  EXPECT_EQ(log->stats().failed_commits, 1u);
  EXPECT_EQ(log->stats().reopened, 1u);
}

TEST_F(StoreWriter, AFullDiskFailsWritesAndReadsGoOn) {
  open();
  ASSERT_TRUE(put("a", "1"));
  injected.sync_code = ENOSPC;
  injected.sync_every = 1;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(put("a", "2").error().code, ec::disk_full);
    EXPECT_TRUE(env->read()) << "never busy";
    EXPECT_EQ(get("a"), "1");
  }
  injected.sync_every = 0;
  EXPECT_TRUE(put("a", "2"));
  EXPECT_EQ(get("a"), "2");
  EXPECT_EQ(log->stats().reopened, 0u);
}

TEST_F(StoreWriter, AFailedWriteFailsItsJobAlone) {
  open();
  injected.write_every = 3;
  int failed = 0;
  for (int i = 0; i < 9; ++i)
    if (auto r = put(std::to_string(i), "x"); !r) {
      ++failed;
      EXPECT_EQ(r.error().code, ec::degraded);
    }
  EXPECT_EQ(failed, 3);
}

TEST_F(StoreWriter, ReopensUnderReaders) {
  open();
  ASSERT_TRUE(put("a", "x"));
  std::atomic<bool> stop{false};
  std::atomic<int> good{0};
  std::atomic<int> bad{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i)
    readers.emplace_back([&, i] {
      while (!stop) {
        auto view = i == 0 ? env->wait_and_read() : env->read();
        if (view)
          ++(string(*view->get(data, text("a"))) == "x" ? good : bad);
        else if (view.error().code != ec::busy)
          ++bad;
      }
    });
  injected.sync_every = 2;
  for (int i = 0; i < 60; ++i)
    (void)put("b", std::to_string(i));
  stop = true;
  for (auto& t : readers)
    t.join();
  EXPECT_EQ(bad, 0);
  EXPECT_GT(good, 0);
  EXPECT_EQ(log->stats().reopened, 30u);
}

TEST_F(StoreWriter, RefusesNewDataWhenTheMapIsNearlyFullAndRecovers) {
  auto small = options();
  small.map_bytes = 4u << 20;
  open(small);
  const std::string value(60'000, 'v');
  std::vector<std::string> kept;
  result<void> refused;
  for (int i = 0; i < 200; ++i) {
    auto k = std::to_string(i);
    refused = put(k, value);
    if (!refused)
      break;
    kept.push_back(k);
  }
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::store_quota);
  EXPECT_GT(kept.size(), 40u);
  EXPECT_EQ(get(kept.front()), value) << "reads go on";
  EXPECT_EQ(put("small", "x").error().code, ec::store_quota) << "small data, too";
  for (const auto& k : kept) {
    auto gone = wait(submit([k](transaction& t) { return t.del(data, text(k)); }, 0, 1, true));
    EXPECT_TRUE(gone) << gone.error().message;
  }
  // Freed pages are used again; a tenth is left to those that a run of 15 pages does not fit in.
  for (std::size_t i = 0; i < kept.size() * 9 / 10; ++i) {
    auto again = put("new" + std::to_string(i), value);
    ASSERT_TRUE(again) << i << " of " << kept.size() << ": " << again.error().message;
  }
  auto u = env->usage();
  ASSERT_TRUE(u);
  EXPECT_LE(u->used_bytes, u->map_bytes);
  EXPECT_LE(u->used_bytes, u->file_bytes);
}

TEST_F(StoreWriter, ABatchLeavesRoomForDeletes) {
  for (std::uint64_t map : {1u << 20, 4u << 20, 16u << 20}) {
    auto small = options();
    small.path = root + "/map" + std::to_string(map);
    small.map_bytes = map;
    close();
    open(small);
    // All in one batch, which sees nothing of its own pages in the file before its commit.
    gate g;
    auto held = submit(g.job());
    g.entered.wait();
    const std::string value(60'000, 'v');
    std::vector<std::future<result<void>>> puts;
    for (int i = 0; i < 400; ++i)
      puts.push_back(submit(
        [k = std::to_string(i), &value](transaction& t) {
          return t.put(data, text(k), text(value));
        },
        static_cast<std::uint64_t>(i), value.size()));
    g.open.count_down();
    EXPECT_TRUE(wait(std::move(held)));
    std::vector<std::string> kept;
    for (std::size_t i = 0; i < puts.size(); ++i) {
      auto r = wait(std::move(puts[i]));
      if (r)
        kept.push_back(std::to_string(i));
      else
        EXPECT_EQ(r.error().code, ec::store_quota);
    }
    EXPECT_GT(kept.size() * value.size(), map / 2) << "refused too early";
    EXPECT_LT(kept.size(), puts.size());
    for (const auto& k : kept) {
      auto gone = wait(submit([k](transaction& t) { return t.del(data, text(k)); }, 0, 1, true));
      ASSERT_TRUE(gone) << map << ' ' << gone.error().message;
    }
  }
}

TEST_F(StoreWriter, AJobThatFillsTheMapFailsAlone) {
  auto small = options();
  small.map_bytes = 1u << 20;
  open(small);
  gate g;
  auto held = submit(g.job());
  g.entered.wait();
  auto fits = submit([](transaction& t) { return t.put(data, text("a"), text("1")); });
  auto too_big = submit([](transaction& t) {
    return t.put(data, text("big"), text(std::string(2u << 20, 'x')));
  });
  auto also = submit([](transaction& t) { return t.put(data, text("b"), text("2")); });
  g.open.count_down();
  EXPECT_TRUE(wait(std::move(held)));
  EXPECT_TRUE(wait(std::move(fits)));
  EXPECT_EQ(wait(std::move(too_big)).error().code, ec::store_quota);
  EXPECT_TRUE(wait(std::move(also)));
  EXPECT_EQ(get("a") + get("b"), "12");
}

// -- figures of the free pages --------------------------------------------------------------------

struct StoreUsage : StoreFixture {
  static constexpr std::size_t all = std::numeric_limits<std::size_t>::max();

  std::uint64_t free_bytes() {
    const auto u = env->usage();
    return u ? u->file_bytes - u->used_bytes : 0;
  }
  /// What a walk over the whole list finds.
  std::uint64_t counted() {
    EXPECT_TRUE(env->count_free_pages(all));
    return free_bytes();
  }
  /// Leaves a list with a record for each of so many commits: a view holds on to all they free.
  void churn(int commits) {
    const auto view = env->wait_and_read();
    for (int i = 0; i < commits; ++i)
      ASSERT_TRUE(put("k", std::string(100'000, static_cast<char>('a' + i % 26))));
  }
};

TEST_F(StoreUsage, WhoAsksDoesNotWalkOverTheList) {
  open();
  churn(20);
  EXPECT_GT(counted(), 1u << 20);
  env->count_free_pages(0);
  EXPECT_EQ(free_bytes(), 0u) << "asked again, it is what was counted last";
  ASSERT_TRUE(put("k", "v"));
  EXPECT_TRUE(eventually([&] { return free_bytes() > 1u << 20; })) << "the writer counts";
}

// Not every one of many commits in a row is followed by a count at once, but some time it is.
TEST_F(StoreUsage, TheWriterCountsThoughNothingFollows) {
  open();
  for (int i = 0; i < 100; ++i) {
    ASSERT_TRUE(put("k", std::string(400'000, 'v')));
    ASSERT_TRUE(write([](transaction& t) { return t.del(data, text("k")); }));
    ASSERT_TRUE(eventually([&] { return env->usage()->used_bytes < 200'000; })) << i;
  }
}

TEST_F(StoreUsage, ALongListIsNotWalkedToItsEnd) {
  open();
  churn(60);
  const auto exact = counted();
  ASSERT_GT(exact, 4u << 20);
  ASSERT_TRUE(env->count_free_pages(8));
  EXPECT_GT(free_bytes(), exact / 2);
  EXPECT_LT(free_bytes(), exact * 2);
  EXPECT_NE(free_bytes(), exact) << "it was a guess";
}

TEST_F(StoreUsage, OpeningCounts) {
  open();
  churn(20);
  const auto exact = counted();
  close();
  open();
  EXPECT_NEAR(static_cast<double>(free_bytes()), static_cast<double>(exact), 10 * 4'096);
}

} // namespace
