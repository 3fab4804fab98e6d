#include "mailbox_actor_fixture.hpp"

#include <caf/send.hpp>

#include <set>
#include <thread>

namespace {

using namespace ron::test;

/// The role on two shards, seen by readers: subscriptions and followers.
struct MailboxReaders : MailboxActor {
  result<received> next(reader_id who, std::chrono::milliseconds wait = 0ms,
                        std::uint32_t held_max = 3) {
    ::ron::mailbox::receive r;
    r.topic = "t";
    r.most = {10};
    r.visibility = 1h;
    r.wait_until = std::chrono::steady_clock::now() + wait;
    r.reader = who;
    r.held_max = held_max;
    return ask<received>(replicas[1], r);
  }
  /// As the wire does it: urgent, from nobody, to any replica.
  void leave_of(reader_id who) {
    caf::anon_send<caf::message_priority::high>(replicas[0], leave{"t", who});
  }
  result<browsed> look(std::string after, std::chrono::milliseconds wait = 0ms) {
    browse b;
    b.topic = "t";
    b.what = {.after = std::move(after), .most = {10}};
    b.wait_until = std::chrono::steady_clock::now() + wait;
    return ask<browsed>(replicas[0], b);
  }
};

TEST_F(MailboxReaders, AReaderHoldsNoMoreThanItMayUntilItSettles) {
  for (int i = 0; i < 5; ++i)
    ASSERT_TRUE(send("t"));
  const auto first = next(1);
  ASSERT_EQ(first->messages.size(), 3u);
  EXPECT_TRUE(next(1)->messages.empty());
  EXPECT_TRUE(eventually([&] { return parts->stats().held == 3; }));
  result<received> more;
  std::thread waiter{[&] { more = next(1, 20s); }};
  EXPECT_TRUE(eventually([&] { return parts->stats().waiting == 1; }));
  ack("t", first->messages[1].receipt);
  waiter.join();
  EXPECT_EQ(more->messages.size(), 1u) << "woken by the room, not by a message";
}

TEST_F(MailboxReaders, WhoLeavesWaitsNoMoreAndGivesBack) {
  ASSERT_TRUE(send("t"));
  ASSERT_EQ(next(1)->messages.size(), 1u);
  result<received> more;
  std::thread waiter{[&] { more = next(1, 20s); }};
  EXPECT_TRUE(eventually([&] { return parts->stats().waiting == 1; }));
  leave_of(1);
  waiter.join();
  EXPECT_TRUE(more && more->messages.empty());
  const auto again = next(2, 20s);
  ASSERT_EQ(again->messages.size(), 1u);
  EXPECT_EQ(again->messages[0].attempt, 2u);
  EXPECT_TRUE(next(1)->messages.empty()) << "what arrives after its leave gets nothing";
  EXPECT_TRUE(eventually([&] { return parts->stats().readers == 1; }));
  crash();
  EXPECT_TRUE(receive("t").empty()) << "the second reader's hour holds across a restart";
}

TEST_F(MailboxReaders, WhatIsGivenBackWhileTheDiskFailsIsGivenBackAgain) {
  ASSERT_TRUE(send("t"));
  ASSERT_EQ(next(1)->messages.size(), 1u);
  injected.write_left = 1;
  leave_of(1);
  EXPECT_TRUE(eventually([&] {
    const auto got = next(2);
    return got && got->messages.size() == 1;
  }));
  EXPECT_EQ(injected.write_left, 0);
}

TEST_F(MailboxReaders, FollowersSeeWhatIsKeptAndNothingElse) {
  const auto first = send("t");
  result<browsed> a, b;
  std::thread one{[&] { a = look(first->message_id, 20s); }};
  std::thread two{[&] { b = look(first->message_id, 20s); }};
  EXPECT_TRUE(eventually([&] { return parts->stats().following == 2; }));
  injected.write_code = EIO;
  EXPECT_FALSE(send("t"));
  injected.write_code = 0;
  const auto second = send("t");
  one.join();
  two.join();
  for (const auto* seen : {&a, &b}) {
    ASSERT_EQ((*seen)->messages.size(), 1u);
    EXPECT_EQ((*seen)->cursor, second->message_id);
  }
  EXPECT_TRUE(eventually([&] { return parts->stats().following == 0; }));
}

/// Every n-th write or sync fails once, wherever in the life of a subscription. Nothing that was
/// acknowledged comes back, nothing is lost or stays hidden, and all goes on without a restart.
TEST_F(MailboxReaders, AnyOneWriteOrSyncMayFail) {
  int fired = 0;
  for (int run = 0; run < 32; ++run) {
    auto& fault = run % 2 ? injected.sync_left : injected.write_left;
    SCOPED_TRACE((run % 2 ? "sync " : "write ") + std::to_string(run / 2 + 1));
    const auto who = static_cast<reader_id>(10 * run + 10);
    std::set<std::string> sent, acked, doubt, rest;
    std::size_t refused = 0;
    fault = run / 2 + 1;
    for (int i = 0; i < 6; ++i) {
      auto s = send("t");
      refused += !s;
      if (s)
        sent.insert(s->message_id);
    }
    for (int turn = 0; turn < 3; ++turn) {
      auto got = next(who);
      for (std::size_t i = 0; got && i < got->messages.size() && i < 2; ++i) {
        const auto& d = got->messages[i];
        const auto done = ack("t", d.receipt);
        (done && done->statuses == statuses{receipt_status::ok} ? acked : doubt)
          .insert(d.message_id);
      }
    }
    leave_of(who);
    fired += fault == 0;
    fault = 0;
    EXPECT_TRUE(eventually([&] {
      if (auto got = next(who + 1, 0ms, 100))
        for (const auto& d : got->messages)
          if (auto done = ack("t", d.receipt); done && done->statuses[0] == receipt_status::ok)
            rest.insert(d.message_id);
      return parts->loaded() && parts->stats().messages == 0;
    })) << parts->stats().messages << " stay hidden";
    leave_of(who + 1);
    for (const auto& id : rest)
      EXPECT_FALSE(acked.contains(id)) << "acknowledged mail came back";
    for (const auto& id : sent)
      EXPECT_TRUE(acked.contains(id) || rest.contains(id) || doubt.contains(id)) << "lost";
    EXPECT_LE(acked.size() + rest.size(), sent.size() + refused);
  }
  EXPECT_GT(fired, 24);
}

} // namespace
