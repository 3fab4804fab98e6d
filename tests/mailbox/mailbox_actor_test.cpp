#include "mailbox_actor_fixture.hpp"

#include <mutex>
#include <random>
#include <set>
#include <thread>

namespace {

using namespace ron::test;

/// Asked by messages from elsewhere, and in place on the shard of the topic.
struct MailboxBothWays : MailboxActor, ::testing::WithParamInterface<bool> {
  MailboxBothWays() { in_place = GetParam(); }
};
INSTANTIATE_TEST_SUITE_P(On, MailboxBothWays, ::testing::Bool(), [](const auto& p) {
  return std::string{p.param ? "InPlace" : "ByMessage"};
});

TEST_P(MailboxBothWays, MailSurvivesARestartOfTheStore) {
  std::set<std::string> ids;
  for (int i = 0; i < 40; ++i) {
    auto s = send("t" + std::to_string(i));
    ASSERT_TRUE(s) << s.error().message;
    ids.insert(s->message_id);
  }
  auto first = receive("t0").at(0);
  ASSERT_EQ(ack("t0", first.receipt)->statuses, statuses{receipt_status::ok});
  auto held = receive("t1").at(0);
  crash();
  EXPECT_EQ(parts->stats().messages, 39u);
  EXPECT_TRUE(receive("t0").empty());
  EXPECT_TRUE(receive("t1").empty());
  EXPECT_EQ(ack("t1", held.receipt)->statuses, statuses{receipt_status::ok});
  for (int i = 2; i < 40; ++i)
    EXPECT_TRUE(ids.contains(receive("t" + std::to_string(i)).at(0).message_id));
}

TEST_P(MailboxBothWays, ARestartedReplicaReadsItsPartitionsAnew) {
  ASSERT_TRUE(send("t"));
  end_replicas();
  spawn_replicas();
  EXPECT_TRUE(eventually([&] { return receive("t").size() == 1; })) << "refused while it reads";
  EXPECT_EQ(parts->stats().messages, 1u);
}

TEST_P(MailboxBothWays, ASendThatCannotBeKeptIsRefusedAndTheRestGoesOn) {
  ASSERT_TRUE(send("t"));
  injected.write_code = EIO;
  auto refused = send("t", "key");
  EXPECT_FALSE(refused);
  injected.write_code = 0;
  auto s = send("t", "key");
  ASSERT_TRUE(s);
  EXPECT_FALSE(s->duplicate);
  EXPECT_EQ(receive("t").size(), 2u);
}

TEST_P(MailboxBothWays, ABatchIsKeptWithOneWriteAndInItsOrder) {
  for (int topic = 0; topic < 8; ++topic) { // of either shard
    const auto name = "t" + std::to_string(topic);
    const auto syncs = parts->store()->stats().log.syncs;
    const auto s = send_batch(name, 10, "k");
    ASSERT_TRUE(s) << s.error().message;
    ASSERT_EQ(s->messages.size(), 10u);
    EXPECT_EQ(parts->store()->stats().log.syncs, syncs + 1);
    const auto again = send_batch(name, 10, "k");
    ASSERT_TRUE(again);
    crash();
    const auto got = receive(name);
    ASSERT_EQ(got.size(), 10u);
    for (std::size_t i = 0; i < 10; ++i) {
      EXPECT_EQ(got[i].payload.text(), std::to_string(i));
      EXPECT_EQ(got[i].message_id, s->messages[i].message_id);
      EXPECT_FALSE(s->messages[i].duplicate);
      EXPECT_EQ(again->messages[i].message_id, s->messages[i].message_id);
      EXPECT_TRUE(again->messages[i].duplicate);
    }
  }
}

/// Every n-th write or sync fails once: a batch is an error, or whole.
TEST_P(MailboxBothWays, ABatchIsAnErrorOrWholeWhateverFails) {
  std::size_t refused = 0;
  for (int run = 0; run < 12; ++run) {
    SCOPED_TRACE((run % 2 ? "sync " : "write ") + std::to_string(run / 2 + 1));
    auto& fault = run % 2 ? injected.sync_left : injected.write_left;
    const auto topic = "t" + std::to_string(run);
    fault = run / 2 + 1;
    std::vector<std::string> told;
    std::size_t batches = 0;
    for (int i = 0; i < 5; ++i) {
      const auto key = "k" + std::to_string(i);
      auto s = send_batch(topic, 4, key);
      if (!s) {
        ++refused;
        EXPECT_TRUE(eventually([&] { return parts->loaded(); }));
        s = send_batch(topic, 4, key);
        ASSERT_TRUE(s) << s.error().message;
        for (const auto& one : s->messages)
          EXPECT_FALSE(one.duplicate) << "it was cancelled as a whole";
      }
      ++batches;
      for (const auto& one : s->messages)
        told.push_back(one.message_id);
    }
    fault = 0;
    std::vector<std::string> got;
    for (auto some = receive(topic); !some.empty(); some = receive(topic))
      for (const auto& d : some)
        got.push_back(d.message_id);
    EXPECT_EQ(got.size(), 4 * batches);
    EXPECT_EQ(got, told);
  }
  EXPECT_GE(refused, 8u);
}

TEST_P(MailboxBothWays, ALostAcknowledgementIsAnErrorAndTheMessageComesBack) {
  ASSERT_TRUE(send("t"));
  auto d = receive("t").at(0);
  injected.sync_code = EIO;
  EXPECT_FALSE(ack("t", d.receipt));
  injected.sync_code = 0;
  eventually([&] { return parts->loaded(); });
  EXPECT_EQ(parts->stats().messages, 1u);
  EXPECT_EQ(ack("t", d.receipt)->statuses, statuses{receipt_status::ok})
    << "the receipt is as good as before";
  EXPECT_EQ(parts->stats().messages, 0u);
}

TEST_P(MailboxBothWays, ADeliveryThatCannotBeKeptDoesNotHideTheMessage) {
  ASSERT_TRUE(send("t"));
  injected.sync_code = EIO;
  EXPECT_TRUE(receive("t").empty());
  injected.sync_code = 0;
  eventually([&] { return parts->loaded(); });
  auto ds = receive("t");
  ASSERT_EQ(ds.size(), 1u);
  EXPECT_EQ(ds[0].attempt, 1u);
}

// Whatever fails when: what was acknowledged to the sender is there, what was acknowledged by the
// receiver stays away, receipts that were given hold, and the rest is answered with an error.
TEST_P(MailboxBothWays, FailingWritesAndSyncsLoseNothingThatWasAcknowledged) {
  std::mt19937_64 dice{5};
  std::set<std::string> alive;
  std::set<std::string> acked;
  std::vector<delivery> held;
  std::size_t in_doubt = 0; // a send or an acknowledgement that got an error
  for (int step = 0; step < 400; ++step) {
    const auto roll = dice() % 10;
    injected.write_code = 0;
    injected.sync_code = 0;
    ASSERT_TRUE(eventually([&] { return parts->loaded(); }));
    injected.write_code = roll == 0 ? EIO : 0;
    injected.sync_code = roll == 1 ? EIO : roll == 2 ? ENOSPC : 0;
    const auto what = dice() % 4;
    if (what == 3) {
      auto s = send_batch("t", 1 + dice() % 3);
      in_doubt += s ? 0 : 3;
      for (std::size_t i = 0; s && i < s->messages.size(); ++i)
        alive.insert(s->messages[i].message_id);
    } else if (what == 0) {
      auto s = send("t");
      in_doubt += !s;
      if (s)
        alive.insert(s->message_id);
    } else if (what == 1) {
      for (auto& d : receive("t")) {
        EXPECT_FALSE(acked.contains(d.message_id)) << "step " << step;
        held.push_back(std::move(d));
      }
    } else if (!held.empty()) {
      auto d = std::move(held.back());
      held.pop_back();
      alive.erase(d.message_id);
      auto done = ack("t", d.receipt);
      in_doubt += !done;
      if (done) {
        EXPECT_EQ(done->statuses, statuses{receipt_status::ok}) << "step " << step;
        acked.insert(d.message_id);
      }
    }
  }
  injected.write_code = 0;
  injected.sync_code = 0;
  EXPECT_GT(in_doubt, 20u);
  EXPECT_GT(acked.size(), 20u);
  crash();
  EXPECT_GE(parts->stats().messages, alive.size());
  EXPECT_LE(parts->stats().messages, alive.size() + in_doubt);
  for (const auto& d : held)
    EXPECT_EQ(ack("t", d.receipt)->statuses, statuses{receipt_status::ok});
  for (const auto& d : receive("t"))
    EXPECT_FALSE(acked.contains(d.message_id));
}

TEST_P(MailboxBothWays, ALongPollIsAnsweredWhenTheMailIsKept) {
  std::vector<delivery> got;
  std::thread waiter{[&] { got = receive("t", 20s); }};
  auto s = send("t");
  waiter.join();
  ASSERT_TRUE(s);
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(got[0].message_id, s->message_id);
}

TEST_P(MailboxBothWays, ReplaysAtOnceHaveOneEffect) {
  std::vector<std::thread> callers;
  std::mutex mutex;
  std::multiset<std::string> ids;
  std::size_t originals = 0;
  for (int i = 0; i < 8; ++i)
    callers.emplace_back([&] {
      auto s = send("t", "once");
      std::lock_guard guard{mutex};
      ids.insert(s ? std::string{s->message_id} : s.error().message);
      originals += s && !s->duplicate;
    });
  for (auto& c : callers)
    c.join();
  EXPECT_EQ(ids.count(*ids.begin()), 8u);
  EXPECT_EQ(originals, 1u);
  EXPECT_EQ(receive("t").size(), 1u);
}

TEST_P(MailboxBothWays, ReplaysOfABatchAtOnceHaveOneEffect) {
  std::vector<std::thread> callers;
  std::mutex mutex;
  std::vector<std::set<std::string>> ids(6); // of each place
  std::size_t originals = 0;
  for (int i = 0; i < 8; ++i)
    callers.emplace_back([&, n = 4 + i % 3] { // some have more to send
      auto s = send_batch("t", static_cast<std::size_t>(n), "once");
      std::lock_guard guard{mutex};
      ASSERT_TRUE(s) << s.error().message;
      for (std::size_t k = 0; k < s->messages.size(); ++k) {
        ids[k].insert(s->messages[k].message_id);
        originals += !s->messages[k].duplicate;
      }
    });
  for (auto& c : callers)
    c.join();
  for (const auto& of_place : ids)
    EXPECT_EQ(of_place.size(), 1u);
  EXPECT_EQ(originals, 6u);
  EXPECT_EQ(receive("t").size(), 6u);
}

} // namespace
