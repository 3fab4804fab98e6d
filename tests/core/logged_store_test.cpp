#include "log_fixture.hpp"

#include "core/store/logged_store.hpp"
#include "support/hung_pages.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <future>
#include <thread>
#include <vector>

namespace {

using namespace ron::test;

struct LoggedStore : StoreFixture {
  std::unique_ptr<logged_store> db;

  logged_store_options logged_options() const {
    logged_store_options o;
    o.environment = options();
    o.environment.tables = {"data", "other", "counters"};
    o.segment_bytes = 64u << 10;
    o.segments_max = 4;
    o.checkpoint_bytes = 128u << 10;
    o.idle = 1h;
    o.retry = 1ms;
    return o;
  }
  void open_db(logged_store_options o) {
    db.reset();
    auto opened = logged_store::open(std::move(o), &injected);
    ASSERT_TRUE(opened) << opened.error().message;
    db = std::move(*opened);
  }
  void open_db() { open_db(logged_options()); }

  struct outcome {
    result<void> all;
    std::vector<std::size_t> refused;
  };
  outcome keep(log_steps steps, std::size_t brings = 0) {
    auto promise = std::make_shared<std::promise<outcome>>();
    auto future = promise->get_future();
    log_job job;
    job.entries.push_back({steps.size(), brings});
    job.steps = std::move(steps);
    job.then = [promise](result<void> r, std::span<const std::size_t> refused) {
      promise->set_value({std::move(r), {refused.begin(), refused.end()}});
    };
    db->submit(std::move(job));
    return future.get();
  }
  result<void> put(std::string k, std::string v) {
    log_steps s;
    s.add(log_op::put, data, text(k), text(v));
    return keep(std::move(s)).all;
  }
  std::string get(std::string_view k) {
    auto view = db->env().wait_and_read();
    if (!view)
      return "error " + view.error().message;
    auto v = view->get(data, text(k));
    return v ? string(*v) : std::string{to_string(v.error().code)};
  }
  model all() {
    model m;
    auto view = db->env().wait_and_read();
    if (!view)
      return m;
    for (auto t : {data, other, counters}) {
      auto c = view->scan(t);
      for (bool there = c.first(); there; there = c.next())
        m[{static_cast<int>(t), string(c.key())}] = string(c.value());
    }
    return m;
  }
  /// The folder as a crash would leave it now.
  std::string copy_as_after_a_crash() {
    const auto copy = root + "/crashed";
    fs::remove_all(copy);
    gate g; // between two commits
    write_job job;
    job.apply = g.job();
    std::promise<result<void>> over;
    job.then = [&](result<void> r) { over.set_value(std::move(r)); };
    injected.sync_every = 0;
    injected.write_every = 0;
    db->direct().submit(std::move(job));
    g.entered.wait();
    fs::copy(root + "/db", copy);
    g.open.count_down();
    EXPECT_TRUE(over.get_future().get());
    fs::remove(copy + "/lock.mdb");
    return copy;
  }
  void crash() {
    const auto copy = copy_as_after_a_crash();
    db.reset();
    fs::remove_all(root + "/db");
    fs::rename(copy, root + "/db");
    open_db();
  }
};

TEST_F(LoggedStore, WhatIsToldOfIsInTheLogFirstAndInTheEnvironmentLater) {
  open_db();
  ASSERT_TRUE(put("a", "1"));
  EXPECT_EQ(get("a"), "not_found");
  EXPECT_EQ(db->stats().pending_steps, 1u);
  ASSERT_TRUE(db->settle());
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(db->stats().pending_steps, 0u);
  EXPECT_EQ(db->stats().syncs, 1u);
  EXPECT_EQ(db->stats().checkpoints, 1u);
  ASSERT_TRUE(db->settle());
  EXPECT_EQ(db->stats().checkpoints, 1u) << "there is nothing to bring over";
}

TEST_F(LoggedStore, WhatCameAndWentNeverGetsThere) {
  open_db();
  for (int i = 0; i < 20; ++i) {
    log_steps s;
    s.add(log_op::fresh, data, text("k" + std::to_string(i)), text("v"));
    ASSERT_TRUE(keep(std::move(s)).all);
    log_steps gone;
    gone.add(log_op::remove, data, text("k" + std::to_string(i)));
    ASSERT_TRUE(keep(std::move(gone)).all);
  }
  const auto bytes = db->direct().stats().bytes;
  ASSERT_TRUE(db->settle());
  EXPECT_TRUE(all().empty());
  EXPECT_EQ(db->direct().stats().bytes, bytes);
}

TEST_F(LoggedStore, ClosesWithEverythingBroughtOver) {
  open_db();
  ASSERT_TRUE(put("a", "1"));
  db.reset();
  auto again = environment::open(logged_options().environment);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(string(*(*again)->read()->get(data, text("a"))), "1");
}

TEST_F(LoggedStore, ACheckpointBeginsByItselfWhenNothingComes) {
  auto o = logged_options();
  o.idle = 1ms;
  open_db(o);
  ASSERT_TRUE(put("a", "1"));
  for (auto end = std::chrono::steady_clock::now() + 20s;
       db->stats().checkpoints == 0 && std::chrono::steady_clock::now() < end;)
    std::this_thread::yield();
  EXPECT_EQ(get("a"), "1");
}

TEST_F(LoggedStore, TheLogStaysWithinItsBoundAndGoesOn) {
  open_db();
  for (int i = 0; i < 400; ++i) {
    ASSERT_TRUE(put(std::to_string(i), std::string(3'000, 'v')));
    ASSERT_LE(db->stats().bytes, db->stats().bytes_max);
  }
  EXPECT_GT(db->stats().checkpoints, 2u);
  EXPECT_LE(db->stats().segments, 4u);
  ASSERT_TRUE(db->settle());
  EXPECT_EQ(all().size(), 400u);
}

TEST_F(LoggedStore, AFullQueueRefuses) {
  auto o = logged_options();
  o.queue_jobs_max = 2;
  open_db(o);
  gate g;
  log_job first;
  first.entries.push_back({});
  first.then = [&](result<void>, std::span<const std::size_t>) {
    g.entered.count_down();
    g.open.wait();
  };
  db->submit(std::move(first));
  g.entered.wait();
  std::vector<std::future<result<void>>> outcomes;
  for (int i = 0; i < 3; ++i) {
    auto promise = std::make_shared<std::promise<result<void>>>();
    outcomes.push_back(promise->get_future());
    log_job job;
    job.steps.add(log_op::put, data, text("k"), text("v"));
    job.entries.push_back({job.steps.size(), 0});
    job.then = [promise](result<void> r, std::span<const std::size_t>) {
      promise->set_value(std::move(r));
    };
    db->submit(std::move(job));
  }
  EXPECT_EQ(outcomes[2].get().error().code, ec::busy);
  g.open.count_down();
  EXPECT_TRUE(outcomes[0].get());
  EXPECT_TRUE(outcomes[1].get());
  EXPECT_EQ(db->stats().refused_jobs, 1u);
}

TEST_F(LoggedStore, WhatFindsNoRoomInTheMapIsRefusedAndRemovalsGoOn) {
  auto o = logged_options();
  o.environment.map_bytes = 1u << 20;
  open_db(o);
  std::vector<std::string> kept;
  for (int i = 0; i < 100; ++i) {
    log_steps s;
    const auto k = std::to_string(i);
    s.add(log_op::fresh, data, text(k), text(std::string(20'000, 'v')));
    auto r = keep(std::move(s), 20'000);
    ASSERT_TRUE(r.all) << r.all.error().message;
    if (r.refused.empty())
      kept.push_back(k);
  }
  EXPECT_GT(kept.size(), 20u);
  EXPECT_LT(kept.size(), 50u);
  ASSERT_TRUE(db->settle());
  EXPECT_EQ(all().size(), kept.size());
  for (const auto& k : kept) {
    log_steps s;
    s.add(log_op::remove, data, text(k));
    ASSERT_TRUE(keep(std::move(s)).all);
  }
  log_steps s;
  s.add(log_op::fresh, data, text("again"), text(std::string(20'000, 'v')));
  EXPECT_TRUE(keep(std::move(s), 20'000).refused.empty()) << "what was removed makes room";
  ASSERT_TRUE(db->settle());
  EXPECT_EQ(all().size(), 1u);
}

TEST_F(LoggedStore, AFailedWriteIsAnErrorAndTheRestGoesOn) {
  open_db();
  injected.sync_every = 1;
  injected.sync_code = ENOSPC;
  const auto failed = put("a", "1");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ec::disk_full);
  injected.sync_every = 0;
  ASSERT_TRUE(put("b", "2"));
  crash();
  EXPECT_EQ(get("a"), "not_found") << "void since something else was kept";
  EXPECT_EQ(get("b"), "2");
}

TEST_F(LoggedStore, AFailedCheckpointIsTriedAgainAndNothingIsLost) {
  open_db();
  ASSERT_TRUE(put("a", "1"));
  injected.sync_every = 1;
  injected.sync_code = EIO;
  EXPECT_FALSE(db->settle());
  EXPECT_EQ(get("a"), "not_found");
  EXPECT_GE(db->stats().failed_checkpoints, 1u);
  injected.sync_every = 0;
  ASSERT_TRUE(put("b", "2"));
  ASSERT_TRUE(db->settle());
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("b"), "2");
}

TEST_F(LoggedStore, ACrashBetweenSlicesIsReplayedFromTheStart) {
  // A part of the changes is in the environment, and the log still has all of them.
  open_db();
  log_steps s;
  s.add(log_op::fresh, data, text("brief"), text("v"));
  s.add(log_op::fresh, data, text("kept"), text("v"));
  ASSERT_TRUE(keep(std::move(s)).all);
  write_job half;
  std::promise<result<void>> done;
  half.apply = [](transaction& t) { return t.put(data, text("brief"), text("v")); };
  half.then = [&](result<void> r) { done.set_value(std::move(r)); };
  db->direct().submit(std::move(half));
  ASSERT_TRUE(done.get_future().get());
  log_steps gone;
  gone.add(log_op::remove, data, text("brief"));
  ASSERT_TRUE(keep(std::move(gone)).all);
  crash();
  EXPECT_EQ(get("brief"), "not_found");
  EXPECT_EQ(get("kept"), "v");
}

TEST_F(LoggedStore, DamageInTheMiddleIsNamedAndTheRestComesBack) {
  open_db();
  for (auto k : {"a", "b", "c"})
    ASSERT_TRUE(put(k, "1"));
  const auto copy = copy_as_after_a_crash();
  db.reset();
  {
    std::fstream f{log_file_name(copy, 0), std::ios::in | std::ios::out | std::ios::binary};
    f.seekp(static_cast<std::streamoff>(2 * log_page_bytes + log_record_head_bytes + 3));
    f.put('\x7f');
  }
  auto o = logged_options();
  o.environment.path = copy;
  open_db(o);
  ASSERT_EQ(db->damages().size(), 1u);
  EXPECT_EQ(db->damages()[0].first_lsn, 2u);
  EXPECT_EQ(db->damages()[0].last_lsn, 2u);
  EXPECT_EQ(db->stats().damaged_records, 1u);
  EXPECT_EQ(get("a"), "1");
  EXPECT_EQ(get("b"), "not_found");
  EXPECT_EQ(get("c"), "1");
  open_db(o);
  EXPECT_TRUE(db->damages().empty()) << "said once; whoever keeps books of it has noted it";
}

TEST_F(LoggedStore, ALogWithoutItsDataIsRefused) {
  open_db();
  ASSERT_TRUE(put("a", "1"));
  db.reset();
  fs::remove(root + "/db/data.mdb");
  fs::remove(root + "/db/lock.mdb");
  auto opened = logged_store::open(logged_options(), &injected);
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().message.find("another store"), std::string::npos);
}

// Any history of writes, faults, checkpoints and crashes: what was told of is there, and nothing
// that was not asked for. What failed may have happened if nothing was kept after it: of several in
// a row one at most, because they have the same number.
TEST_F(LoggedStore, RandomHistoriesWithFaultsAndCrashesLoseNothing) {
  random_steps steps{seed_of_this_run()};
  auto& dice = steps.dice();
  open_db();
  model wanted;
  std::vector<log_steps> doubts;
  int failed = 0;
  int crashes = 0;
  for (int i = 0; i < 700; ++i) {
    const auto roll = dice() % 40;
    injected.write_every = roll == 0 ? 1 : 0;
    injected.sync_every = roll == 1 ? 1 : 0;
    injected.sync_code = dice() % 2 ? EIO : ENOSPC;
    if (roll == 2)
      (void)db->settle();
    if (roll == 3) {
      ++crashes;
      crash();
      ASSERT_TRUE(db->settle());
      const auto now = all();
      const auto happened = [&](const log_steps& doubt) {
        auto other_world = wanted;
        apply_to(other_world, doubt.view());
        return now == other_world;
      };
      ASSERT_TRUE(now == wanted || std::ranges::any_of(doubts, happened)) << "step " << i;
      wanted = now;
      doubts.clear();
    }
    auto s = steps.next(dice() % 20 == 0 ? 9'000 : 60);
    auto copy = s;
    if (keep(std::move(s)).all) {
      apply_to(wanted, copy.view());
      doubts.clear();
    } else {
      ++failed;
      doubts.push_back(std::move(copy));
    }
  }
  injected.write_every = injected.sync_every = 0;
  ASSERT_TRUE(put("end", "x"));
  wanted[{0, "end"}] = "x";
  ASSERT_TRUE(db->settle());
  EXPECT_EQ(all(), wanted);
  EXPECT_GT(failed, 5);
  EXPECT_GT(crashes, 5);
}

// Every n-th write or sync fails, of the log and of checkpoints: errors, no false success, and it
// goes on by itself.
TEST_F(LoggedStore, EveryNthWriteOrSyncMayFail) {
  for (const bool sync : {false, true})
    for (int every = 1; every <= 9; ++every) {
      SCOPED_TRACE((sync ? "sync " : "write ") + std::to_string(every));
      db.reset();
      fs::remove_all(root + "/db");
      injected.write_every = injected.sync_every = 0;
      auto o = logged_options();
      o.checkpoint_bytes = 16u << 10;
      open_db(o);
      injected.writes = injected.syncs = 0;
      (sync ? injected.sync_every : injected.write_every) = every;
      model wanted;
      std::size_t failed = 0;
      for (int i = 0; i < 40; ++i) {
        const auto k = std::to_string(i);
        if (put(k, "v"))
          wanted[{0, k}] = "v";
        else
          ++failed;
      }
      EXPECT_GT(failed, 0u);
      injected.write_every = injected.sync_every = 0;
      EXPECT_TRUE(put("after", "v")) << "recovers by itself";
      wanted[{0, "after"}] = "v";
      EXPECT_TRUE(db->settle());
      EXPECT_EQ(all(), wanted);
      crash();
      EXPECT_EQ(all(), wanted);
    }
}

/// Where nothing waits for a disk a checkpoint may be over before the thread that began it goes on:
/// one that is tried again here, while somebody asks for more than it brings.
TEST_F(LoggedStore, WhoSettlesWhileACheckpointBeginsIsNotForgotten) {
  constexpr int rounds_max = 1'500;
  auto o = logged_options();
  o.environment.path = folder_in_memory();
  open_db(o);
  const auto seed = seed_of_this_run();
  auto rounds = std::async(std::launch::async, [this, dice = std::mt19937_64{seed}]() mutable {
    for (int i = 0; i < rounds_max; ++i) {
      EXPECT_TRUE(put("first", "v"));
      injected.sync_every = 1;
      EXPECT_FALSE(db->settle());
      injected.sync_every = 0;
      for (auto n = dice() % 64; n > 0; --n) // for about as long as it is not tried again
        EXPECT_TRUE(put("second", "v"));
      EXPECT_TRUE(put("second", std::to_string(i)));
      EXPECT_TRUE(db->settle());
    }
  });
  if (rounds.wait_for(60s) == std::future_status::timeout) {
    std::fprintf(stderr, "somebody waits in vain\n");
    std::_Exit(1); // the thread cannot be ended
  }
  EXPECT_EQ(get("second"), std::to_string(rounds_max - 1));
  db.reset();
  fs::remove_all(o.environment.path);
}

} // namespace
