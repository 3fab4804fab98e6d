#include "partition_fixture.hpp"

#include <map>
#include <set>

namespace {

using namespace ron::test;

TEST_F(Partition, ExpiredMailMakesRoomThoughNobodyReadsItsTopic) {
  limits.messages_max = 2;
  limits.topics_max = 2;
  for (const auto* topic : {"unread", "unread too"}) {
    auto m = mail("x");
    m.topic = topic;
    m.ttl = 1s;
    ASSERT_TRUE(p().send(outgoing{m}, now, 0));
  }
  EXPECT_EQ(p().send(mail("y"), now, 0).error().code, ec::store_quota);
  now += 1s;
  EXPECT_TRUE(p().send(mail("y"), now, 0));
  EXPECT_EQ(p().messages(), 1u);
  EXPECT_EQ(p().topics(), 1u);
}

TEST_F(Partition, WhatIsOverIsForgottenThoughNobodyAsks) {
  auto m = mail("x");
  m.ttl = 1s;
  m.idempotency_key = "k";
  ASSERT_TRUE(p().send(outgoing{m}, now, 0));
  p().forget_expired(now);
  EXPECT_EQ(p().messages(), 1u);
  now += 300s;
  p().forget_expired(now);
  EXPECT_EQ(p().messages() + p().remembered() + p().topics(), 0u);
}

TEST_F(Partition, MailThatExpiresInFlightIsNotDeliveredAgain) {
  auto m = mail("x", "key");
  m.ttl = 1s;
  ASSERT_TRUE(p().send(outgoing{m}, now, 0));
  send("next", "key");
  ASSERT_EQ(receive().size(), 1u);
  now += 2s;
  EXPECT_EQ(p().messages(), 2u) << "its delivery may still be acknowledged";
  now += 5s;
  EXPECT_EQ(texts(receive()), strings{"next"});
  EXPECT_EQ(p().messages(), 1u);
}

TEST_F(Partition, DeliversInOrderAndForgetsWhatIsAcknowledged) {
  send("a");
  send("b");
  auto ds = receive();
  EXPECT_EQ(texts(ds), (strings{"a", "b"}));
  EXPECT_TRUE(receive().empty()) << "hidden while in flight";
  EXPECT_EQ(p().ack("t", {ds[0].receipt, ds[1].receipt}, now),
            (statuses{receipt_status::ok, receipt_status::ok}));
  EXPECT_EQ(p().messages(), 0u);
  EXPECT_EQ(p().bytes(), 0u);
  EXPECT_EQ(p().topics(), 0u);
  EXPECT_EQ(p().ack("t", {ds[0].receipt}, now), statuses{receipt_status::gone});
}

TEST_F(Partition, AMessageComesBackWhenItsVisibilityEnds) {
  send("a");
  auto first = receive();
  now += 4999ms;
  EXPECT_TRUE(receive().empty());
  now += 1ms;
  auto second = receive();
  ASSERT_EQ(second.size(), 1u);
  EXPECT_EQ(second[0].attempt, 2u);
  EXPECT_EQ(second[0].message_id, first[0].message_id);
  EXPECT_EQ(p().ack("t", {first[0].receipt}, now), statuses{receipt_status::expired});
  EXPECT_EQ(p().ack("t", {second[0].receipt}, now), statuses{receipt_status::ok});
}

TEST_F(Partition, IsDeadAfterFiveAttemptsAndRedriven) {
  send("a");
  for (std::uint32_t attempt = 1; attempt <= 5; ++attempt) {
    auto ds = receive();
    ASSERT_EQ(ds.size(), 1u);
    EXPECT_EQ(ds[0].attempt, attempt);
    now += 5s;
  }
  EXPECT_TRUE(receive().empty());
  ASSERT_EQ(p().dead_letters("t", 10, now).size(), 1u);
  EXPECT_EQ(p().stats().dead_total, 1u);
  EXPECT_TRUE(p().peek("t", 10, now).empty());
  EXPECT_EQ(p().redrive("t", 1'000, now), 1u);
  EXPECT_EQ(receive().at(0).attempt, 1u);
}

TEST_F(Partition, OneMessageOfAKeyIsInFlight) {
  send("a1", "a");
  send("a2", "a");
  send("b1", "b");
  auto ds = receive();
  EXPECT_EQ(texts(ds), (strings{"a1", "b1"}));
  p().ack("t", {ds[0].receipt}, now);
  EXPECT_EQ(texts(receive()), strings{"a2"});
}

TEST_F(Partition, ADeadMessageLetsTheNextOfItsKeyPass) {
  limits.attempts_max = 1;
  send("a1", "a");
  send("a2", "a");
  EXPECT_EQ(texts(receive()), strings{"a1"});
  now += 5s;
  EXPECT_EQ(texts(receive()), strings{"a2"});
}

TEST_F(Partition, ANackedMessageWaitsItsBackOff) {
  send("a");
  auto ds = receive();
  EXPECT_EQ(p().nack("t", {ds[0].receipt}, now), statuses{receipt_status::ok});
  auto at = p().next_delivery("t");
  ASSERT_TRUE(at);
  EXPECT_GE(*at, now + 200ms);
  EXPECT_LE(*at, now + 400ms);
  EXPECT_TRUE(receive().empty());
  now = *at;
  EXPECT_EQ(receive().size(), 1u);
}

// Full jitter: anything from the least to a top that doubles with each attempt, up to a minute.
TEST_F(Partition, TheBackOffGrowsAndIsSpread) {
  limits.attempts_max = 20;
  for (std::uint32_t attempt = 1; attempt <= 12; ++attempt) {
    const auto top = std::min(milliseconds{60'000}, milliseconds{200} * (1 << attempt));
    auto least = top;
    auto most = 0ms;
    for (int i = 0; i < 60; ++i) {
      box.reset();
      send("a");
      for (std::uint32_t n = 1; n < attempt; ++n) {
        ASSERT_EQ(receive().size(), 1u);
        now += 5s;
      }
      p().nack("t", {receive().at(0).receipt}, now);
      const auto wait = std::chrono::ceil<milliseconds>(*p().next_delivery("t") - now);
      ASSERT_GE(wait, 200ms);
      ASSERT_LE(wait, top);
      least = std::min(least, wait);
      most = std::max(most, wait);
    }
    EXPECT_LT(least, 200ms + (top - 200ms) / 4) << attempt;
    EXPECT_GT(most, 200ms + (top - 200ms) * 3 / 4) << attempt;
  }
}

TEST_F(Partition, ACallForgetsABoundedNumberByTheWay) {
  limits.sweep_max = 10;
  for (int i = 0; i < 25; ++i) {
    auto m = mail("x");
    m.ttl = 1s;
    m.idempotency_key = std::to_string(i);
    ASSERT_TRUE(p().send(outgoing{m}, now, 0));
  }
  now += 300s;
  EXPECT_TRUE(receive().empty()) << "what is not forgotten yet is not delivered either";
  EXPECT_EQ(p().messages(), 0u) << "its own topic is cleared by the reader";
  ASSERT_TRUE(p().send(mail("y"), now, 0));
  EXPECT_EQ(p().remembered(), 15u);
  ASSERT_TRUE(p().send(mail("y"), now, 0));
  EXPECT_EQ(p().remembered(), 5u);
  EXPECT_EQ(p().stats().expired_total, 25u);
}

TEST_F(Partition, AReceiptDiesWithItsPeriodThoughNobodySwept) {
  limits.sweep_max = 1;
  for (int i = 0; i < 3; ++i)
    send("a");
  auto ds = receive();
  now += 5s;
  EXPECT_EQ(p().ack("t", {ds[2].receipt}, now), statuses{receipt_status::expired});
}

TEST_F(Partition, RedriveTakesTheOldestFirstAndCounts) {
  limits.attempts_max = 1;
  for (auto text : {"1", "2", "3"})
    send(text);
  for (auto& d : receive())
    p().nack("t", {d.receipt}, now);
  auto s = p().topic("t", now);
  EXPECT_EQ(s.dead, 3u);
  EXPECT_EQ(s.waiting + s.in_flight, 0u);
  EXPECT_EQ(p().redrive("t", 2, now), 2u);
  EXPECT_EQ(texts(receive()), (strings{"1", "2"}));
  s = p().topic("t", now);
  EXPECT_EQ(s.dead, 1u);
  EXPECT_EQ(s.in_flight, 2u);
  EXPECT_EQ(s.bytes, p().bytes());
}

TEST_F(Partition, DelayAndTimeToLive) {
  auto late = mail("late");
  late.delay = 1s;
  ASSERT_TRUE(p().send(outgoing{late}, now, 0));
  auto brief = mail("brief");
  brief.ttl = 500ms;
  ASSERT_TRUE(p().send(outgoing{brief}, now, 0));
  now += 600ms;
  EXPECT_TRUE(receive().empty());
  EXPECT_EQ(p().messages(), 1u) << "the expired one is gone";
  now += 400ms;
  EXPECT_EQ(texts(receive()), strings{"late"});
}

TEST_F(Partition, AReplayGivesTheSameIdAndAnotherBodyConflicts) {
  auto m = mail("a");
  m.caller = "alice";
  m.idempotency_key = "k";
  auto first = p().send(outgoing{m}, now, 0);
  auto again = p().send(outgoing{m}, now + 299s, 0);
  ASSERT_TRUE(first && again);
  EXPECT_FALSE(first->answer.duplicate);
  EXPECT_TRUE(again->answer.duplicate);
  EXPECT_EQ(first->answer.message_id, again->answer.message_id);
  EXPECT_EQ(p().messages(), 1u);
  m.body_hash[0] = 1;
  EXPECT_EQ(p().send(outgoing{m}, now + 299s, 0).error().code, ec::conflict);
  EXPECT_TRUE(p().send(outgoing{m}, now + 300s, 0)) << "the window is over";
  auto other = mail("a");
  other.caller = "bob";
  other.idempotency_key = "k";
  const auto of_bob = p().send(std::move(other), now, 0);
  EXPECT_FALSE(of_bob->answer.duplicate) << "keys belong to their caller";
}

TEST_F(Partition, EveryBoundRefusesAndNothingAcceptedIsDropped) {
  limits.messages_max = 3;
  limits.topics_max = 2;
  limits.dedup_max = 2;
  for (const char* topic : {"t", "u"}) {
    auto m = mail("x");
    m.topic = topic;
    m.idempotency_key = "k";
    ASSERT_TRUE(p().send(outgoing{m}, now, 0));
  }
  auto third = mail("x");
  third.topic = "v";
  EXPECT_EQ(p().send(outgoing{third}, now, 0).error().code, ec::store_quota) << "topics";
  auto keyed = mail("x");
  keyed.idempotency_key = "k2";
  EXPECT_EQ(p().send(outgoing{keyed}, now, 0).error().code, ec::quota) << "idempotency keys";
  send("y");
  EXPECT_EQ(p().send(mail("z"), now, 0).error().code, ec::store_quota) << "messages";
  EXPECT_EQ(p().messages(), 3u);
  EXPECT_EQ(texts(receive()), (strings{"x", "y"}));
}

TEST_F(Partition, TheByteBudgetHolds) {
  limits.bytes_max = 10'000;
  std::size_t accepted = 0;
  while (p().send(mail(std::string(1'000, 'x')), now, 0))
    ++accepted;
  EXPECT_LE(p().bytes(), 10'000u);
  EXPECT_GE(accepted, 7u);
}

TEST_F(Partition, ForgedReceiptsDoNothing) {
  send("a");
  auto good = receive().at(0).receipt;
  for (std::string bad : {"", ".", "1", "1.", "zz.1", "1.0", "99.1", "1.1x"})
    EXPECT_NE(p().ack("t", {bad}, now)[0], receipt_status::ok) << bad;
  EXPECT_EQ(p().ack("t", {good}, now)[0], receipt_status::ok);
}

// Any history: every accepted message is, at any time, waiting, in flight, dead, or was
// acknowledged; per key at most one is in flight; after a calm time everything can be drained.
TEST_F(Partition, RandomHistoriesLoseNothing) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 dice{seed};
    box.reset();
    std::set<std::string> alive;
    std::map<std::string, delivery> held; // by message id: latest delivery
    for (int step = 0; step < 300; ++step) {
      switch (dice() % 6) {
        case 5: {
          auto b = batch_of({}, dice() % 2 ? "i" + std::to_string(step) : "");
          for (auto n = 1 + dice() % 5; n > 0; --n)
            b.messages.push_back(mail("x", dice() % 2 ? "k" + std::to_string(dice() % 3) : ""));
          const auto s = send(b);
          ASSERT_TRUE(s);
          for (const auto& one : s->messages)
            ASSERT_TRUE(alive.insert(one.message_id).second);
          if (!b.idempotency_key.empty()) {
            const auto again = send(b);
            ASSERT_TRUE(again);
            for (std::size_t i = 0; i < b.messages.size(); ++i) {
              EXPECT_EQ(again->messages[i].message_id, s->messages[i].message_id);
              EXPECT_TRUE(again->messages[i].duplicate);
            }
          }
          break;
        }
        case 0:
        case 1: {
          auto s = p().send(mail("x", dice() % 2 ? "k" + std::to_string(dice() % 3) : ""), now, 0);
          ASSERT_TRUE(s);
          alive.insert(s->answer.message_id);
          break;
        }
        case 2: {
          std::set<std::string> keys;
          for (auto& d : p().receive("t", {dice() % 4}, 5s, now)) {
            if (!d.key.empty()) {
              EXPECT_TRUE(keys.insert(d.key).second) << "one in flight a key";
            }
            held[d.message_id] = d;
          }
          break;
        }
        case 3:
          if (!held.empty()) {
            auto d = held.begin()->second;
            held.erase(held.begin());
            if (dice() % 2 == 0) {
              p().nack("t", {d.receipt}, now);
            } else if (p().ack("t", {d.receipt}, now)[0] == receipt_status::ok) {
              EXPECT_EQ(alive.erase(d.message_id), 1u);
            }
          }
          break;
        default:
          now += milliseconds(dice() % 3'000);
      }
      ASSERT_EQ(p().messages(), alive.size());
    }
    for (int round = 0; round < 10'000 && p().messages() > 0; ++round) {
      now += 61s;
      p().redrive("t", 1'000, now);
      for (auto& d : p().receive("t", {100}, 5s, now)) {
        ASSERT_EQ(p().ack("t", {d.receipt}, now)[0], receipt_status::ok);
        EXPECT_EQ(alive.erase(d.message_id), 1u);
      }
    }
    EXPECT_TRUE(alive.empty());
    EXPECT_EQ(p().bytes(), 0u);
  }
}

} // namespace
