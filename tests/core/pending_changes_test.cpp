#include "core/store/logged_store.hpp"
#include "core/store/pending_changes.hpp"
#include "log_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

/// Reads of a store whose log has not been brought over, or only in part.
namespace {

using namespace ron::test;

struct PendingChanges : StoreFixture {
  std::unique_ptr<logged_store> db;

  void open_db() {
    logged_store_options o;
    o.environment = options();
    o.environment.tables = {"data", "other", "counters"};
    o.segment_bytes = 8u << 20;
    o.segments_max = 2;
    o.checkpoint_bytes = 1u << 30;
    o.idle = 1h;
    o.retry = 1h;
    auto opened = logged_store::open(std::move(o), &injected);
    ASSERT_TRUE(opened) << opened.error().message;
    db = std::move(*opened);
  }
  void keep(log_steps steps) {
    std::promise<result<void>> done;
    log_job job;
    job.entries.push_back({steps.size(), 0});
    job.steps = std::move(steps);
    job.then = [&](result<void> r, std::span<const std::size_t>) { done.set_value(std::move(r)); };
    db->submit(std::move(job));
    ASSERT_TRUE(done.get_future().get());
  }
  /// All of two tables, as a reader finds it now.
  model merged() {
    const auto over = db->pending({});
    auto view = db->env().wait_and_read();
    EXPECT_TRUE(view);
    model m;
    for (auto t : {data, other}) {
      merged_cursor c{*view, t, over, {}};
      std::string last;
      for (bool there = c.seek(text(std::string_view{"\0", 1})); there; there = c.next()) {
        const auto k = string(c.key());
        EXPECT_LT(last, k);
        last = k;
        m[{static_cast<int>(t), k}] = string(c.value());
      }
      EXPECT_TRUE(c.status());
    }
    return m;
  }
  static model without_counters(model m) {
    std::erase_if(m, [](const auto& e) { return e.first.first == 2; });
    return m;
  }
};

TEST_F(PendingChanges, MergedWithTheEnvironmentTheyAreWhatWasToldOf) {
  const auto seed = seed_of_this_run();
  random_steps make{seed};
  open_db();
  model want;
  for (int round = 0; round < 40; ++round) {
    for (int i = 0; i < 20; ++i) {
      auto s = make.next();
      apply_to(want, s.view());
      ASSERT_NO_FATAL_FAILURE(keep(std::move(s)));
      ASSERT_EQ(merged(), without_counters(want)) << "SEED=" << seed << " round " << round;
    }
    injected.sync_every = make.dice()() % 2 == 0 ? 1 : 0; // from then on some of it is frozen
    injected.sync_code = ENOSPC;
    const bool brought = db->settle().has_value();
    injected.sync_every = 0;
    ASSERT_EQ(merged(), without_counters(want)) << "SEED=" << seed << " round " << round;
    EXPECT_EQ(db->pending({}).all().empty(), brought);
  }
}

TEST_F(PendingChanges, OfACheckpointThatEndedHalfway) {
  open_db();
  log_steps many;
  model want;
  const auto n = log_checkpoint::slice_steps + 100;
  for (std::uint64_t i = 0; i < n; ++i)
    many.add(log_op::fresh, data, key::of(i), text("v"));
  apply_to(want, many.view());
  ASSERT_NO_FATAL_FAILURE(keep(std::move(many)));
  injected.syncs = 0;
  injected.sync_every = 2; // the second transaction finds no room
  injected.sync_code = ENOSPC;
  ASSERT_FALSE(db->settle());
  injected.sync_every = 0;
  ASSERT_EQ(db->env().read()->entries(data), log_checkpoint::slice_steps);
  log_steps gone; // of the part that is there, and of the part that is not
  gone.add(log_op::remove, data, key::of(std::uint64_t{0}));
  gone.add(log_op::remove, data, key::of(n - 1));
  gone.add(log_op::put, data, key::of(std::uint64_t{1}), text("w"));
  apply_to(want, gone.view());
  ASSERT_NO_FATAL_FAILURE(keep(std::move(gone)));
  EXPECT_EQ(merged(), want);
  ASSERT_TRUE(db->settle());
  EXPECT_TRUE(db->pending({}).all().empty());
  EXPECT_EQ(merged(), want);
}

TEST_F(PendingChanges, AreFoundByKeyAndFiltered) {
  open_db();
  log_steps s;
  s.add(log_op::put, data, text("b"), text("1"));
  s.add(log_op::put, other, text("b"), text("2"));
  s.add(log_op::put, data, text("a"), text("3"));
  s.add(log_op::remove, data, text("b"));
  s.add(log_op::raise, counters, text("n"), key::of(std::uint64_t{1}));
  ASSERT_NO_FATAL_FAILURE(keep(std::move(s)));
  const auto all = db->pending({});
  EXPECT_EQ(all.all().size(), 3u);
  ASSERT_NE(all.find(data, text("b")), nullptr);
  EXPECT_EQ(all.find(data, text("b"))->op, log_op::remove);
  EXPECT_EQ(string(all.find(other, text("b"))->value), "2");
  EXPECT_EQ(all.find(data, text("c")), nullptr);
  EXPECT_EQ(all.from(data, text("b")).size(), 1u);
  const auto some = db->pending([](const log_step& x) { return x.to == other; });
  ASSERT_EQ(some.all().size(), 1u);
  EXPECT_EQ(some.find(data, text("a")), nullptr);
}

TEST_F(PendingChanges, TheirMemoryIsCountedAndBounded) {
  open_db();
  EXPECT_EQ(db->stats().pending_bytes, 0u);
  log_steps one;
  one.add(log_op::put, data, text("a"), text(std::string(1'000, 'x')));
  const auto bytes = one.size();
  ASSERT_NO_FATAL_FAILURE(keep(std::move(one)));
  EXPECT_EQ(db->stats().pending_bytes, bytes);
  injected.sync_code = ENOSPC;
  injected.sync_every = 1;
  EXPECT_FALSE(db->settle());
  EXPECT_EQ(db->stats().pending_bytes, bytes) << "frozen now";
  injected.sync_every = 0;
  ASSERT_TRUE(db->settle());
  EXPECT_EQ(db->stats().pending_bytes, 0u);

  // Checkpoints find no room, the log takes what it has room for, and not more.
  gate g;
  write_job job; // every commit of the environment waits
  job.apply = g.job();
  std::promise<result<void>> over;
  job.then = [&](result<void> r) { over.set_value(std::move(r)); };
  db->direct().submit(std::move(job));
  g.entered.wait();
  std::uint64_t most = 0;
  std::atomic<int> told = 0;
  int sent = 0;
  for (; sent < 30; ++sent) {
    log_job more;
    const std::string value(1u << 20, 'x');
    more.steps.add(log_op::put, data, key::of(std::uint64_t(sent)), text(value));
    more.entries.push_back({more.steps.size(), 0});
    more.then = [&](const result<void>&, std::span<const std::size_t>) { ++told; };
    db->submit(std::move(more));
    most = std::max(most, db->stats().pending_bytes);
  }
  const auto give_up = std::chrono::steady_clock::now() + 30s;
  while (told < 4 && std::chrono::steady_clock::now() < give_up)
    std::this_thread::yield();
  most = std::max(most, db->stats().pending_bytes);
  EXPECT_GT(most, 3u << 20);
  EXPECT_LE(most, db->stats().bytes_max);
  g.open.count_down();
  ASSERT_TRUE(over.get_future().get());
  db.reset();
  EXPECT_EQ(told, sent) << "each is told of";
}

TEST_F(PendingChanges, OutliveWhatTheyCameFrom) {
  open_db();
  log_steps s;
  s.add(log_op::put, data, text("a"), text(std::string(100, 'x')));
  ASSERT_NO_FATAL_FAILURE(keep(std::move(s)));
  const auto held = db->pending({});
  ASSERT_TRUE(db->settle());
  EXPECT_TRUE(db->pending({}).all().empty());
  db.reset();
  EXPECT_EQ(string(held.find(data, text("a"))->value), std::string(100, 'x'));
}

} // namespace
