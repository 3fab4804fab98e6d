#include "journal_fixture.hpp"
#include "mailbox/receipt.hpp"

#include <algorithm>
#include <fstream>
#include <map>
#include <set>

namespace {

using namespace ron::test;
using statuses = std::vector<receipt_status>;
using strings = std::vector<std::string>;

TEST_F(Journal, AMessageComesBackAsItWas) {
  auto m = mail("payload", "key");
  m.attrs = {{"a", "b"}, {"c", ""}};
  m.ttl = 100s;
  auto id = send(m)->message_id;
  restart();
  EXPECT_EQ(box->messages(), 1u);
  auto d = receive().at(0);
  EXPECT_EQ(d.message_id, id);
  EXPECT_EQ(d.payload.text(), "payload");
  EXPECT_EQ(d.key, "key");
  EXPECT_EQ(d.attrs, m.attrs);
  EXPECT_EQ(d.attempt, 1u);
  EXPECT_EQ(d.received_at_ms, clock.wall_ms());
  ack(d.receipt);
  restart();
  EXPECT_EQ(box->messages(), 0u);
  EXPECT_EQ(box->bytes(), 0u);
}

TEST_F(Journal, AReceiptOutlivesTheProcessButNotItsVisibilityPeriod) {
  ASSERT_TRUE(send(mail("a")));
  ASSERT_TRUE(send(mail("b")));
  auto ds = receive();
  clock.advance(4s);
  restart();
  EXPECT_TRUE(receive().empty()) << "still in flight";
  EXPECT_EQ(ack(ds[0].receipt), statuses{receipt_status::ok});
  EXPECT_EQ(ack(ds[0].receipt), statuses{receipt_status::gone});
  clock.advance(2s);
  restart();
  EXPECT_EQ(ack(ds[1].receipt), statuses{receipt_status::expired});
  auto again = receive();
  EXPECT_EQ(texts(again), strings{"b"});
  EXPECT_EQ(again[0].attempt, 2u);
  EXPECT_EQ(ack(ds[0].receipt), statuses{receipt_status::gone}) << "its number is not used again";
}

TEST_F(Journal, DelayBackOffAndTimeToLiveGoOn) {
  auto late = mail("late");
  late.delay = 60s;
  ASSERT_TRUE(send(late));
  auto brief = mail("brief");
  brief.ttl = 30s;
  ASSERT_TRUE(send(brief));
  ASSERT_TRUE(send(mail("back")));
  auto ds = receive();
  ASSERT_EQ(texts(ds), (strings{"brief", "back"}));
  nack(ds[1].receipt);
  restart();
  EXPECT_TRUE(receive().empty());
  clock.advance(31s);
  restart();
  EXPECT_EQ(texts(receive()), strings{"back"});
  clock.advance(30s);
  restart();
  EXPECT_EQ(texts(receive()), (strings{"late", "back"}));
}

TEST_F(Journal, OrderWithinAKeyHolds) {
  for (auto text : {"1", "2", "3"})
    ASSERT_TRUE(send(mail(text, "k")));
  auto first = receive();
  ASSERT_EQ(texts(first), strings{"1"});
  restart();
  EXPECT_TRUE(receive().empty()) << "one in flight";
  ack(first[0].receipt);
  restart();
  EXPECT_EQ(texts(receive()), strings{"2"});
}

TEST_F(Journal, WhoIsInFlightIsFirstOfItsKeyAlsoBehindARedrivenOne) {
  limits.attempts_max = 1;
  restart();
  ASSERT_TRUE(send(mail("1", "k")));
  ASSERT_TRUE(send(mail("2", "k")));
  nack(receive().at(0).receipt);
  auto second = receive();
  ASSERT_EQ(texts(second), strings{"2"});
  EXPECT_EQ(box->redrive("t", 10, clock.now()), 1u);
  keep();
  restart();
  EXPECT_TRUE(receive().empty()) << "the second is in flight";
  ack(second[0].receipt);
  EXPECT_EQ(texts(receive()), strings{"1"});
}

TEST_F(Journal, AttemptsCountAndDeadLettersStay) {
  ASSERT_TRUE(send(mail("poison")));
  for (std::uint32_t attempt = 1; attempt <= 5; ++attempt) {
    auto ds = receive();
    ASSERT_EQ(ds.size(), 1u);
    EXPECT_EQ(ds[0].attempt, attempt);
    clock.advance(5s); // nobody says a word: the worker dies of it
    restart();
  }
  EXPECT_TRUE(receive().empty());
  ASSERT_EQ(box->dead_letters("t", 10, clock.now()).size(), 1u);
  keep();
  restart();
  ASSERT_EQ(box->dead_letters("t", 10, clock.now()).size(), 1u);
  EXPECT_EQ(box->redrive("t", 10, clock.now()), 1u);
  keep();
  restart();
  EXPECT_EQ(receive().at(0).attempt, 1u);
}

TEST_F(Journal, DeadLettersAreForgottenInTheEnd) {
  limits.attempts_max = 1;
  restart();
  ASSERT_TRUE(send(mail("poison")));
  nack(receive().at(0).receipt);
  clock.advance(limits.dead_keep - 1s);
  restart();
  EXPECT_EQ(box->dead_letters("t", 10, clock.now()).size(), 1u);
  clock.advance(1s);
  EXPECT_TRUE(box->dead_letters("t", 10, clock.now()).empty());
  EXPECT_EQ(box->stats().dead_expired_total, 1u);
  keep();
  restart();
  EXPECT_EQ(box->messages(), 0u);
}

TEST_F(Journal, AReplayIsKnownAfterARestart) {
  auto m = mail("a");
  m.caller = "alice";
  m.idempotency_key = "k";
  auto first = send(m);
  ack(receive().at(0).receipt);
  restart();
  auto again = send(m);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->duplicate);
  EXPECT_EQ(again->message_id, first->message_id);
  EXPECT_EQ(box->messages(), 0u);
  m.body_hash[3] = 1;
  EXPECT_EQ(send(m).error().code, ec::conflict);
  clock.advance(300s);
  restart();
  EXPECT_FALSE(send(m)->duplicate);
  EXPECT_EQ(box->remembered(), 1u);
}

TEST_F(Journal, ASendThatFailsWasNeverSent) {
  auto m = mail("a", "key");
  m.idempotency_key = "k";
  injected.sync_code = ENOSPC;
  EXPECT_EQ(send(m).error().code, ec::disk_full);
  injected.sync_code = 0;
  EXPECT_EQ(box->messages(), 0u);
  EXPECT_EQ(box->remembered(), 0u);
  EXPECT_EQ(box->topics(), 0u);
  EXPECT_FALSE(send(m)->duplicate);
  EXPECT_EQ(receive().size(), 1u);
}

TEST_F(Journal, NothingIsDeliveredBeforeItIsKept) {
  auto m = mail("a", "key");
  m.idempotency_key = "k";
  auto a = box->send(outgoing{m}, clock.now(), 0);
  ASSERT_TRUE(a && a->unconfirmed != 0);
  EXPECT_TRUE(receive().empty());
  EXPECT_TRUE(box->peek("t", 10, clock.now()).empty());
  EXPECT_FALSE(box->next_delivery("t"));
  auto replay = box->send(outgoing{m}, clock.now(), 0);
  ASSERT_TRUE(replay);
  EXPECT_EQ(replay->behind, a->unconfirmed) << "the replay waits for the same commit";
  box->confirm(*a, clock.now());
  replay = box->send(outgoing{m}, clock.now(), 0);
  ASSERT_TRUE(replay);
  EXPECT_EQ(replay->behind, 0u);
  EXPECT_TRUE(replay->answer.duplicate);
  EXPECT_EQ(replay->answer.message_id, a->answer.message_id);
  EXPECT_EQ(receive().size(), 1u);
}

TEST_F(Journal, AJumpOfTheWallClockWhileDownDoesNotHideMail) {
  ASSERT_TRUE(send(mail("a")));
  auto late = mail("late");
  late.delay = 900s;
  ASSERT_TRUE(send(late));
  receive(1);
  clock.set_wall_ms(clock.wall_ms() - 400ll * 86'400'000);
  restart();
  clock.advance(15min);
  EXPECT_EQ(texts(receive()), strings{"late"});
  clock.advance(12h);
  EXPECT_EQ(receive().size(), 2u);
}

TEST_F(Journal, ManyMessagesComeBackInPages) {
  for (int i = 0; i < 1'500; ++i) {
    auto a = box->send(mail("x", {}, "t" + std::to_string(i % 7)), clock.now(), 0);
    ASSERT_TRUE(a);
  }
  keep();
  partition_sources s;
  s.bucket_of = [this](std::string_view t) { return store->bucket_of(t); };
  std::size_t sum = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    partition part{limits, s};
    load(*store, {i, 3}, part);
    sum += part.messages();
  }
  EXPECT_EQ(sum, 1'500u) << "each in one partition";
  partition whole{limits, s};
  EXPECT_GE(load(*store, {}, whole), 3u);
  EXPECT_EQ(whole.messages(), 1'500u);
}

/// Changes the first byte of every `text` in the closed store.
void damage(const test_folder& in, std::string_view text) {
  const auto file = in.path + "/mail/data.mdb";
  std::fstream f{file, std::ios::in | std::ios::out | std::ios::binary};
  std::string all{std::istreambuf_iterator<char>{f}, {}};
  std::size_t found = 0;
  for (auto at = all.find(text); at != all.npos; at = all.find(text, at + 1), ++found) {
    f.seekp(static_cast<std::streamoff>(at));
    f.put(static_cast<char>(text[0] ^ 0x20));
  }
  ASSERT_GT(found, 0u);
}

TEST_F(Journal, ADamagedMessageIsPutAsideAndTheRestGoesOn) {
  for (const auto* text : {"one", "a payload that can be found", "three"})
    ASSERT_TRUE(send(mail(text)));
  for (auto& d : receive()) // all three have a state of their own
    nack(d.receipt);
  clock.advance(1min);
  box.reset();
  store.reset();
  damage(folder, "can be found");
  for (int life = 0; life < 2; ++life) {
    restart();
    EXPECT_EQ(store->damaged(), 1u) << "counted once, and remembered";
    EXPECT_EQ(box->messages(), 2u);
    keep(); // what was moved is on disk
  }
  auto rest = texts(receive()); // in the order of their back-off
  std::ranges::sort(rest);
  EXPECT_EQ(rest, (strings{"one", "three"}));
  EXPECT_TRUE(send(mail("four")));
}

TEST_F(Journal, AMessageWhoseStateIsDamagedIsDeliveredAgain) {
  ASSERT_TRUE(send(mail("a")));
  const auto first = receive().at(0);
  const auto seq = parse_receipt(first.receipt)->first;
  const auto nonce = parse_receipt(first.receipt)->second;
  std::string raw;
  for (int shift = 56; shift >= 0; shift -= 8)
    raw.push_back(static_cast<char>(nonce >> shift & 0xff));
  EXPECT_GT(seq, 0u);
  box.reset();
  store.reset();
  damage(folder, raw); // only its state has the nonce
  restart();
  EXPECT_EQ(store->damaged(), 1u);
  const auto again = receive();
  ASSERT_EQ(texts(again), strings{"a"});
  EXPECT_EQ(again[0].attempt, 1u);
  EXPECT_EQ(ack(again[0].receipt), statuses{receipt_status::ok});
  restart();
  EXPECT_EQ(box->messages(), 0u);
  EXPECT_EQ(store->damaged(), 1u);
}

TEST_F(Journal, ADamagedIdempotencyKeyIsForgotten) {
  auto m = mail("a", "key");
  m.idempotency_key = "k";
  m.caller = "somebody to be found";
  ASSERT_TRUE(send(m));
  box.reset();
  store.reset();
  damage(folder, "somebody to be found");
  restart();
  EXPECT_EQ(store->damaged(), 1u);
  EXPECT_EQ(box->remembered(), 0u);
  EXPECT_FALSE(send(m)->duplicate);
  EXPECT_EQ(box->messages(), 2u);
}

TEST_F(Journal, WhatCannotBeMovedIsLeftOutAndFoundAgain) {
  ASSERT_TRUE(send(mail("can be found")));
  box.reset();
  store.reset();
  damage(folder, "can be found");
  injected.sync_code = ENOSPC;
  store = open_journal(folder, clock, &injected);
  partition_sources s;
  s.bucket_of = [this](std::string_view t) { return store->bucket_of(t); };
  partition other{limits, std::move(s)};
  load(*store, {}, other);
  EXPECT_EQ(other.messages(), 0u);
  injected.sync_code = 0;
  restart();
  EXPECT_EQ(box->messages(), 0u);
  EXPECT_EQ(store->damaged(), 1u);
}

// Any history with restarts: what was accepted is there until it is acknowledged, nothing else is.
TEST_F(Journal, RandomHistoriesWithRestartsLoseNothing) {
  std::mt19937_64 dice{11};
  std::set<std::string> alive;
  std::map<std::string, delivery> held;
  int sends = 0;
  for (int step = 0; step < 900; ++step) {
    switch (dice() % 7) {
      case 6: { // and sometimes the disk fails, or it is sent twice
        auto b = batch_of({}, dice() % 2 ? "once " + std::to_string(++sends) : "");
        for (auto n = 1 + dice() % 4; n > 0; --n)
          b.messages.push_back(mail("y", dice() % 2 ? "k" + std::to_string(dice() % 3) : ""));
        injected.sync_code = dice() % 4 == 0 ? ENOSPC : 0;
        auto s = send_batch(b);
        ASSERT_EQ(s.has_value(), injected.sync_code == 0);
        injected.sync_code = 0;
        if (!s) { // what is written next makes it void for good
          s = send_batch(batch_of({"after it"}));
          ASSERT_TRUE(s);
          b.idempotency_key.clear();
        }
        for (const auto& one : s->messages)
          ASSERT_TRUE(alive.insert(one.message_id).second);
        if (b.idempotency_key.empty())
          break;
        if (dice() % 2 == 0)
          restart();
        const auto again = send_batch(b);
        ASSERT_TRUE(again);
        ASSERT_EQ(duplicates(*again), b.messages.size());
        break;
      }
      case 0:
      case 1: {
        auto s = send(mail("x", dice() % 2 ? "k" + std::to_string(dice() % 3) : ""));
        ASSERT_TRUE(s);
        alive.insert(s->message_id);
        break;
      }
      case 2:
        for (auto& d : receive(dice() % 4))
          held[d.message_id] = d;
        break;
      case 3:
        if (!held.empty()) {
          auto d = held.begin()->second;
          held.erase(held.begin());
          if (dice() % 3 == 0) {
            nack(d.receipt);
          } else if (ack(d.receipt)[0] == receipt_status::ok) {
            ASSERT_EQ(alive.erase(d.message_id), 1u);
          }
        }
        break;
      case 4:
        clock.advance(std::chrono::milliseconds(dice() % 3'000));
        break;
      default:
        if (dice() % 4 == 0)
          restart();
    }
    ASSERT_EQ(box->messages(), alive.size()) << "step " << step;
  }
  restart();
  for (int round = 0; round < 2'000 && box->messages() > 0; ++round) {
    clock.advance(61s);
    box->redrive("t", 1'000, clock.now());
    for (auto& d : receive())
      if (ack(d.receipt)[0] == receipt_status::ok)
        alive.erase(d.message_id);
  }
  EXPECT_TRUE(alive.empty());
  restart();
  EXPECT_EQ(box->messages(), 0u);
}

} // namespace
