#include "storage/pacer.hpp"
#include "storage/proof.hpp"
#include "storage/replication.hpp"
#include "storage/replication_walk.hpp"
#include "storage_fixture.hpp"

#include <future>
#include <map>
#include <set>
#include <thread>

namespace {

using namespace ron::test;

core::cid object(std::uint64_t n) {
  return b3::cid_of(noise(16, n));
}

const std::vector<std::string> peer_names{"10.0.0.2:9443", "10.0.0.3:9443", "10.0.0.4:9443"};

// -- placement ---------------------------------------------------------------------------------

TEST(RankPeers, SpreadsEvenlyAndMovesLittle) {
  std::map<std::uint32_t, int> firsts;
  int moved = 0;
  auto more = peer_names;
  more.push_back("10.0.0.5:9443");
  for (std::uint64_t n = 0; n < 3'000; ++n) {
    const auto rank = rank_peers(object(n), peer_names);
    ASSERT_EQ(std::set(rank.begin(), rank.end()).size(), peer_names.size());
    ++firsts[rank[0]];
    const auto later = rank_peers(object(n), more);
    if (later[0] != rank[0]) {
      EXPECT_EQ(later[0], 3u) << "an object moves to the new peer or not at all";
      ++moved;
    }
  }
  for (const auto& [peer, n] : firsts)
    EXPECT_NEAR(n, 1'000, 150) << peer;
  EXPECT_NEAR(moved, 750, 150);
}

TEST(RankPeers, GoesByTheNameNotTheOrder) {
  const std::vector<std::string> turned{peer_names[2], peer_names[0], peer_names[1]};
  for (std::uint64_t n = 0; n < 50; ++n)
    EXPECT_EQ(peer_names[rank_peers(object(n), peer_names)[0]],
              turned[rank_peers(object(n), turned)[0]]);
}

// -- pace --------------------------------------------------------------------------------------

TEST(Pace, HoldsTheRateAndSavesNothingUp) {
  pace p{1'000'000};
  core::instant now{1h};
  EXPECT_EQ(p.admit(100'000, now), now);
  EXPECT_EQ(p.admit(200'000, now), now) << "what was saved in a moment";
  EXPECT_EQ(p.admit(1, now), now + 200ms);
  now += 1h;
  core::instant last = now;
  for (int i = 0; i < 100; ++i)
    last = p.admit(100'000, now);
  EXPECT_GE(last - now, 9'700ms);
  EXPECT_LE(last - now, 10'000ms);
  pace any{0};
  EXPECT_EQ(any.admit(1ull << 40, now), now);
  EXPECT_EQ(any.admit(1, now), now);
}

TEST(Pacer, WhoWaitsByAnOldRateGoesByTheNewOne) {
  pacer p{1};
  std::stop_source stop;
  EXPECT_TRUE(p.wait(3'600, stop.get_token())) << "the first bytes go at once";
  auto next = std::async(std::launch::async, [&] { return p.wait(1, stop.get_token()); });
  EXPECT_EQ(next.wait_for(50ms), std::future_status::timeout);
  p.set_rate(1); // no change
  EXPECT_EQ(next.wait_for(50ms), std::future_status::timeout);
  p.set_rate(1'000'000);
  ASSERT_EQ(next.wait_for(30s), std::future_status::ready) << "it would be an hour";
  EXPECT_TRUE(next.get());
  EXPECT_EQ(p.rate(), 1'000'000u);
  p.set_rate(1);
  EXPECT_TRUE(p.wait(3'600, stop.get_token()));
  next = std::async(std::launch::async, [&] { return p.wait(1, stop.get_token()); });
  stop.request_stop();
  ASSERT_EQ(next.wait_for(30s), std::future_status::ready);
  EXPECT_FALSE(next.get());
}

TEST(ProofMachine, AsksForOneOfManyAndForAllAfterALie) {
  proof_machine m{8, 1};
  int asked = 0;
  for (int i = 0; i < 8'000; ++i)
    asked += m.wanted();
  EXPECT_GT(asked, 800);
  EXPECT_LT(asked, 1'200);
  EXPECT_TRUE(m.trusts());
  m.wrong();
  for (std::uint32_t i = 0; i < proof_machine::trust_after; ++i) {
    EXPECT_FALSE(m.trusts());
    EXPECT_TRUE(m.wanted());
    m.shown();
  }
  EXPECT_TRUE(m.trusts());
  m.shown();
  EXPECT_TRUE(m.trusts());
  // Who has lost everything gets everything; who lies gets less and less.
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(m.gives());
    m.given(true);
  }
  std::vector<int> refused;
  for (int gift = 0; gift < 10; ++gift) {
    int n = 0;
    while (!m.gives())
      ++n;
    refused.push_back(n);
    m.given(false);
  }
  EXPECT_EQ(refused, (std::vector{0, 1, 2, 4, 8, 16, 32, 64, 64, 64}));
  std::set<std::uint64_t> groups;
  for (int i = 0; i < 1'000; ++i)
    groups.insert(m.group(20));
  EXPECT_EQ(groups.size(), 20u);
  EXPECT_LT(*groups.rbegin(), 20u);
  proof_machine all{1, 2};
  for (int i = 0; i < 100; ++i)
    EXPECT_TRUE(all.wanted());
}

TEST(TooSlow, IsMeasuredAgainstWhatHasMoved) {
  EXPECT_FALSE(too_slow(0, 60s));
  EXPECT_TRUE(too_slow(0, 61s));
  EXPECT_FALSE(too_slow(256u << 20, 1'000s));
  EXPECT_TRUE(too_slow(256u << 20, 1'100s));
  EXPECT_FALSE(too_slow(0, 10s, 10s));
  EXPECT_TRUE(too_slow(0, 11s, 10s));
}

TEST(MarkOf, TellsConfigurationsApart) {
  const auto mark = mark_of(2, peer_names);
  EXPECT_EQ(mark_of(2, {peer_names[1], peer_names[2], peer_names[0]}), mark) << "in any order";
  EXPECT_NE(mark_of(3, peer_names), mark);
  EXPECT_NE(mark_of(2, {peer_names[0], peer_names[1]}), mark);
}

// -- the machine ---------------------------------------------------------------------------------

struct ReplicationMachine : ::testing::Test {
  core::instant now{1h};
  replication_machine m{{.tracked_max = 4}, 3, peer_names, 1};
};

TEST_F(ReplicationMachine, CopiesGoToTheBestPeers) {
  const work_item w{object(1), duty::copy};
  m.add(w, now);
  m.add(w, now);
  EXPECT_EQ(m.tracked(), 1u);
  const auto rank = rank_peers(w.cid, peer_names);
  auto first = m.next(now);
  auto second = m.next(now);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->peer, rank[0]);
  EXPECT_EQ(second->peer, rank[1]);
  EXPECT_FALSE(m.next(now)) << "two of three copies lie elsewhere";
  EXPECT_EQ(m.done(*first, transfer_outcome::done, now),
            (settlement{w.cid, w.what, key_of_peer(peer_names[rank[0]])}));
  EXPECT_EQ(m.done(*second, transfer_outcome::done, now), (settlement{w.cid, w.what}));
  EXPECT_EQ(m.tracked(), 0u);
}

TEST_F(ReplicationMachine, WhatAPeerHasDoneIsNotAskedOfItAgain) {
  work_item w{object(1), duty::copy};
  const auto rank = rank_peers(w.cid, peer_names);
  w.served = {key_of_peer(peer_names[rank[0]])};
  EXPECT_FALSE(m.add(w, now));
  auto t = m.next(now);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->peer, rank[1]);
  EXPECT_FALSE(m.next(now));
  EXPECT_EQ(m.done(*t, transfer_outcome::done, now), (settlement{w.cid, w.what}));
  w.served.push_back(key_of_peer(peer_names[rank[1]]));
  EXPECT_EQ(m.add(w, now), (settlement{w.cid, w.what})) << "over before it begins";
  EXPECT_EQ(m.tracked(), 0u);
}

TEST_F(ReplicationMachine, MoreCopiesWhileAnObjectIsUnderWay) {
  replication_machine two{{}, 2, peer_names, 1};
  work_item w{object(1), duty::copy};
  const auto rank = rank_peers(w.cid, peer_names);
  two.add(w, now);
  two.add({object(2), duty::copy}, now);
  auto t = two.next(now);
  ASSERT_TRUE(t);
  two.set_copies(3);
  EXPECT_EQ(two.tracked(), 1u) << "what waits is read again";
  const auto over = two.done(*t, transfer_outcome::done, now);
  const auto key = key_of_peer(peer_names[t->peer]);
  EXPECT_EQ(over, (settlement{t->cid, duty::copy, key})) << "not as a whole";
  EXPECT_EQ(two.tracked(), 0u);
  w.cid = t->cid;
  w.served = {key};
  two.add(w, now);
  auto second = two.next(now);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->peer, rank_peers(w.cid, peer_names)[1]);
  EXPECT_EQ(two.done(*second, transfer_outcome::done, now), (settlement{w.cid, duty::copy}));
}

TEST_F(ReplicationMachine, FewerCopiesWhileAnObjectIsUnderWay) {
  const work_item w{object(1), duty::copy};
  m.add(w, now);
  const auto first = m.next(now);
  const auto second = m.next(now);
  ASSERT_TRUE(first && second);
  m.set_copies(1);
  EXPECT_FALSE(m.done(*first, transfer_outcome::unreachable, now)) << "nor again";
  EXPECT_FALSE(m.next(now + 1h));
  EXPECT_EQ(m.done(*second, transfer_outcome::pointless, now),
            (settlement{w.cid, w.what, {}, true}));
  EXPECT_EQ(m.tracked(), 0u);
  EXPECT_EQ(m.add(w, now + 1h), (settlement{w.cid, w.what}));
  // A release goes on: it is for all peers, whatever the number of copies.
  m.add({object(2), duty::release}, now + 1h);
  auto t = m.next(now + 1h);
  ASSERT_TRUE(t);
  m.set_copies(3);
  EXPECT_TRUE(m.next(now + 1h));
}

TEST_F(ReplicationMachine, ADeleteIsToldToAllPeers) {
  const work_item w{object(1), duty::release};
  m.add(w, now);
  std::set<std::uint32_t> told;
  std::optional<settlement> last;
  while (auto t = m.next(now)) {
    EXPECT_EQ(t->what, duty::release);
    told.insert(t->peer);
    last = m.done(*t, transfer_outcome::done, now);
  }
  EXPECT_EQ(told.size(), peer_names.size());
  EXPECT_EQ(last, (settlement{w.cid, w.what}));
}

TEST_F(ReplicationMachine, WithOneCopyNothingGoesOut) {
  replication_machine alone{{}, 1, peer_names, 1};
  EXPECT_EQ(alone.add({object(1), duty::copy}, now), (settlement{object(1), duty::copy}));
  EXPECT_FALSE(alone.add({object(2), duty::release}, now));
  EXPECT_FALSE(alone.add({object(3), duty::repair}, now));
  EXPECT_EQ(alone.tracked(), 2u);
}

TEST_F(ReplicationMachine, AFullPeerIsNotSentOneObjectAfterTheOther) {
  replication_machine two{{}, 2, {peer_names[0]}, 1};
  for (std::uint64_t n = 0; n < 100; ++n)
    two.add({object(n), duty::copy}, now);
  int attempts = 0;
  for (const auto end = now + 10min; now < end; now += 100ms)
    while (auto t = two.next(now)) {
      ++attempts;
      EXPECT_FALSE(two.done(*t, transfer_outcome::turned_away, now));
    }
  EXPECT_GT(attempts, 10);
  EXPECT_LT(attempts, 80);
  EXPECT_GT(two.rest_of(0, now), core::instant::duration{});
}

TEST_F(ReplicationMachine, WhatWaitsForADeadPeerIsNotInTheWay) {
  replication_machine two{{.tracked_max = 4}, 2, {peer_names[0], peer_names[1]}, 1};
  const std::vector<std::string> names{peer_names[0], peer_names[1]};
  auto best = [&](std::uint64_t n) { return rank_peers(object(n), names)[0]; };
  std::uint64_t n = 0;
  for (; !two.rest_of(0, now).count(); ++n)
    if (best(n) == 0) {
      two.add({object(n), duty::copy}, now);
      auto t = two.next(now);
      ASSERT_TRUE(t);
      two.done(*t, transfer_outcome::unreachable, now);
    }
  two.drop_waiting();
  for (const auto end = n + 100; n < end; ++n)
    two.add({object(n), duty::copy}, now);
  EXPECT_EQ(two.tracked(), 4u);
  for (int i = 0; i < 4; ++i) {
    auto t = two.next(now);
    ASSERT_TRUE(t);
    EXPECT_EQ(t->peer, 1u);
    EXPECT_TRUE(two.done(*t, transfer_outcome::done, now));
  }
}

TEST_F(ReplicationMachine, ASilentPeerIsAskedWhetherItIsThere) {
  std::set<std::uint32_t> asked;
  while (auto p = m.probe(now)) {
    EXPECT_TRUE(asked.insert(*p).second);
    m.probed(*p, transfer_outcome::done, now);
  }
  EXPECT_EQ(asked.size(), peer_names.size());
  EXPECT_FALSE(m.probe(now + 29s));
  auto p = m.probe(now + 31s);
  ASSERT_TRUE(p);
  m.add({object(1), duty::release}, now);
  while (auto t = m.next(now + 31s)) {
    EXPECT_NE(t->peer, *p) << "busy";
    m.done(*t, transfer_outcome::done, now + 31s);
  }
  m.probed(*p, transfer_outcome::unreachable, now + 31s);
  EXPECT_FALSE(m.probe(now + 31s)) << "the others were heard of, this one is left alone";
}

TEST_F(ReplicationMachine, APeerHasOneTransferAtATime) {
  for (std::uint64_t n = 0; n < 4; ++n)
    m.add({object(n), duty::copy}, now);
  std::set<std::uint32_t> busy;
  std::vector<transfer> under_way;
  while (auto t = m.next(now)) {
    EXPECT_TRUE(busy.insert(t->peer).second);
    under_way.push_back(*t);
  }
  EXPECT_EQ(busy.size(), 3u);
}

TEST_F(ReplicationMachine, HoldsNoMoreThanItsBound) {
  for (std::uint64_t n = 0; n < 10; ++n)
    m.add({object(n), duty::copy}, now);
  EXPECT_EQ(m.tracked(), 4u);
  EXPECT_FALSE(m.has_room());
  auto t = m.next(now);
  ASSERT_TRUE(t);
  m.drop_waiting();
  EXPECT_EQ(m.tracked(), 1u) << "what is under way stays";
  EXPECT_TRUE(m.has_room());
}

TEST_F(ReplicationMachine, ADeadPeerIsLeftAloneForLongerAndLonger) {
  const work_item w{object(1), duty::repair};
  m.add(w, now);
  int attempts = 0;
  const auto end = now + 10min;
  for (; now < end; now += 100ms)
    while (auto t = m.next(now)) {
      ++attempts;
      EXPECT_FALSE(m.done(*t, transfer_outcome::unreachable, now));
    }
  // Full jitter: about half a minute between two attempts of each of three peers in the end.
  EXPECT_GT(attempts, 20);
  EXPECT_LT(attempts, 200);
  EXPECT_EQ(m.tracked(), 1u) << "never given up";
}

TEST_F(ReplicationMachine, ARepairAsksOneAfterTheOther) {
  const work_item w{object(7), duty::repair};
  m.add(w, now);
  const auto rank = rank_peers(w.cid, peer_names);
  for (auto peer : rank) {
    auto t = m.next(now);
    ASSERT_TRUE(t);
    EXPECT_EQ(t->peer, peer);
    EXPECT_FALSE(m.next(now)) << "one at a time";
    EXPECT_FALSE(m.done(*t, transfer_outcome::missing, now));
  }
  now += 60s;
  auto again = m.next(now);
  ASSERT_TRUE(again) << "after all have said no, from the start";
  EXPECT_EQ(m.done(*again, transfer_outcome::done, now), (settlement{w.cid, w.what}));
}

TEST_F(ReplicationMachine, WhatIsPointlessIsOver) {
  const work_item w{object(3), duty::copy};
  m.add(w, now);
  auto t = m.next(now);
  ASSERT_TRUE(t);
  EXPECT_EQ(m.done(*t, transfer_outcome::pointless, now),
            (settlement{w.cid, w.what, {}, true}));
  EXPECT_EQ(m.tracked(), 0u);
}

// Deleted while it was copied, and put again: the work list has it once more, as it had it before.
TEST_F(ReplicationMachine, WhatIsPutAgainWhileItIsUnderWayGetsAllItsCopies) {
  const work_item w{object(3), duty::copy};
  m.add(w, now);
  const auto first = m.next(now);
  const auto second = m.next(now);
  ASSERT_TRUE(first && second);
  EXPECT_FALSE(m.done(*first, transfer_outcome::pointless, now));
  EXPECT_FALSE(m.add(w, now));
  EXPECT_EQ(m.done(*second, transfer_outcome::done, now),
            (settlement{w.cid, w.what, key_of_peer(peer_names[second->peer])}))
    << "only this one";
  m.add({w.cid, w.what, {key_of_peer(peer_names[second->peer])}}, now);
  const auto again = m.next(now);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->peer, first->peer);
  EXPECT_EQ(m.done(*again, transfer_outcome::done, now), (settlement{w.cid, w.what}));
}

// -- the walk ------------------------------------------------------------------------------------

struct WalkMachine : ::testing::Test {
  core::instant now{1h};
  walk_machine m{{}, 7, now};
  walk_state state(bool running, std::uint64_t walked, bool audit = false) {
    return {.mark = 7, .running = running, .audit = audit, .walked = walked};
  }
};

TEST_F(WalkMachine, CopiesWhatWasThereBefore) {
  EXPECT_EQ(m.unknown(100), 100u) << "nobody has looked";
  auto o = m.next(now, 0);
  ASSERT_TRUE(o);
  EXPECT_EQ(o->mark, 7u);
  EXPECT_FALSE(o->again);
  EXPECT_FALSE(m.next(now, 0)) << "one at a time";
  m.done(state(true, 64), now);
  EXPECT_EQ(m.unknown(100), 36u);
  EXPECT_FALSE(m.next(now, 5'000)) << "the list is long";
  ASSERT_TRUE(m.next(now, 4'096));
  m.done({}, now);
  EXPECT_FALSE(m.next(now + 999ms, 0)) << "a failure is not repeated at once";
  ASSERT_TRUE(m.next(now + 1s, 0));
  m.done(state(false, 100), now + 1s);
  EXPECT_EQ(m.unknown(120), 0u);
  EXPECT_FALSE(m.next(now + 1s, 0));
}

TEST_F(WalkMachine, AuditsNowAndThenAndWhenAsked) {
  ASSERT_TRUE(m.next(now, 0));
  m.done(state(false, 10), now); // was over before the restart
  EXPECT_FALSE(m.next(now + 59min, 0));
  now += 1h;
  auto o = m.next(now, 0);
  ASSERT_TRUE(o);
  EXPECT_TRUE(o->again);
  m.done(state(true, 64, true), now);
  EXPECT_EQ(m.unknown(100), 0u) << "they have been copied once";
  EXPECT_FALSE(m.next(now + 900ms, 0)) << "an audit takes its time";
  now += 1s;
  ASSERT_TRUE(m.next(now, 0));
  m.done(state(false, 100, true), now);
  EXPECT_FALSE(m.next(now + 23h, 0));
  m.ask();
  now += 1s;
  o = m.next(now, 0);
  ASSERT_TRUE(o);
  EXPECT_TRUE(o->again);
}

} // namespace
