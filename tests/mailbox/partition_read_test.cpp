#include "core/ids.hpp"
#include "mailbox/partition.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

using namespace ron::mailbox;
using namespace std::chrono_literals;
using ron::core::bytes;
using ron::core::instant;
using strings = std::vector<std::string>;

/// Messages with real ids, looked at and given back.
struct PartitionRead : ::testing::Test {
  ron::core::id_source ids;
  std::uint64_t seq = 0;
  instant now{1h};
  bool stored = false;
  std::optional<partition> box;

  partition& p() {
    if (!box) {
      partition_sources s;
      s.random = [this] { return ++seq; };
      s.make_id = [this](std::int64_t wall_ms) { return ids.next_ulid(wall_ms).to_text(); };
      s.next_seqs = [this](std::size_t n) {
        return (seq += 6 + n) - n + 1; // other partitions have the numbers between
      };
      if (stored)
        s.bucket_of = [](std::string_view) { return bucket{0}; };
      box.emplace(partition_limits{}, std::move(s));
    }
    return *box;
  }
  accepted<sent> send(std::string text, std::int64_t wall_ms = 1'000) {
    outgoing m;
    m.topic = "t";
    m.payload = bytes::copy(std::string_view{text});
    return *p().send(std::move(m), now, wall_ms);
  }
  strings read(reading q) {
    strings out;
    for (const auto& d : p().read("t", q, now)) {
      EXPECT_TRUE(d.receipt.empty());
      out.emplace_back(d.payload.text());
    }
    return out;
  }
  std::vector<delivery> receive(std::size_t max = 10) { return p().receive("t", {max}, 5s, now); }
};

TEST_F(PartitionRead, AfterAndBeforeAnyIdOfMany) {
  strings sent;
  for (int i = 0; i < 200; ++i)
    sent.push_back(send(std::to_string(i)).answer.message_id);
  for (std::size_t i = 0; i < sent.size(); ++i) {
    reading after{.after = sent[i], .most = {3}};
    reading before{.before = sent[i], .most = {3}};
    strings up, down;
    for (auto k = i + 1; k < std::min(i + 4, sent.size()); ++k)
      up.push_back(std::to_string(k));
    for (auto k = i; k > 0 && down.size() < 3; --k)
      down.push_back(std::to_string(k - 1));
    ASSERT_EQ(read(after), up) << i;
    ASSERT_EQ(read(before), down) << i;
  }
  EXPECT_EQ(read({.after = ron::core::ulid{}.to_text(), .most = {2}}), (strings{"0", "1"}));
  EXPECT_EQ(read({.most = {2}}), (strings{"199", "198"}));
  EXPECT_EQ(p().newest_id("t"), sent.back());
  EXPECT_EQ(p().newest_id("empty"), ron::core::ulid{}.to_text());
}

TEST_F(PartitionRead, AnIdThatIsGoneStillHasItsPlace) {
  strings sent;
  for (int i = 0; i < 5; ++i)
    sent.push_back(send(std::to_string(i)).answer.message_id);
  const auto ds = receive(3);
  EXPECT_EQ(read({.most = {9}}).size(), 5u) << "in flight is seen";
  p().ack("t", {ds[1].receipt, ds[2].receipt}, now);
  EXPECT_EQ(read({.after = sent[1], .most = {9}}), (strings{"3", "4"}));
  EXPECT_EQ(read({.before = sent[2], .most = {9}}), strings{"0"});
}

TEST_F(PartitionRead, APageEndsAtItsBytes) {
  for (int i = 0; i < 5; ++i)
    send(std::string(1'000, 'x'));
  EXPECT_EQ(read({.most = {9, 1'500}}).size(), 2u);
  EXPECT_EQ(p().receive("t", {9, 1}, 5s, now).size(), 1u) << "never none";
}

TEST_F(PartitionRead, WhatIsNotKeptIsNotSeen) {
  stored = true;
  const auto first = send("first");
  p().confirm(first, now);
  const auto second = send("second");
  EXPECT_EQ(read({.most = {9}}), strings{"first"});
  EXPECT_EQ(p().newest_id("t"), first.answer.message_id);
  p().confirm(second, now);
  EXPECT_EQ(read({.after = first.answer.message_id, .most = {9}}), strings{"second"});
}

TEST_F(PartitionRead, IdsAscendAlthoughTheClockWentBackOverARestart) {
  stored_mail old;
  old.topic = "t";
  old.seq = 5;
  seq = 5;
  old.body.id = ids.next_ulid(9'000'000).to_text();
  p().restore(old);
  ids = {};
  EXPECT_GT(send("new", 1'000).answer.message_id, old.body.id);
}

TEST_F(PartitionRead, TheFirstThatComesBackCountsAsTried) {
  for (int i = 0; i < 3; ++i)
    send(std::to_string(i));
  auto receipts = [](const std::vector<delivery>& ds) {
    strings out;
    for (const auto& d : ds)
      out.push_back(d.receipt);
    return out;
  };
  for (std::uint32_t turn = 1; turn <= 5; ++turn) {
    const auto ds = receive();
    ASSERT_EQ(ds.size(), 3u);
    EXPECT_EQ(ds[0].attempt, turn);
    EXPECT_EQ(ds[1].attempt, 1u);
    p().give_back("t", receipts(ds), now);
  }
  EXPECT_EQ(p().dead_letters("t", 9, now).size(), 1u) << "whose readers died with it five times";
  EXPECT_EQ(receive().size(), 2u);
  EXPECT_EQ(p().stats().returned_total, 15u);
}

TEST_F(PartitionRead, GivingBackLeavesAloneWhatIsSettled) {
  for (int i = 0; i < 3; ++i)
    send(std::to_string(i));
  const auto ds = receive();
  p().ack("t", {ds[0].receipt}, now);
  now += 6s; // all periods are over
  const auto again = receive(1);
  p().give_back("t", {ds[0].receipt, ds[1].receipt, ds[2].receipt, "nonsense"}, now);
  EXPECT_EQ(p().topic("t", now).in_flight, 1u) << "somebody else's now";
  EXPECT_EQ(p().ack("t", {again[0].receipt}, now), std::vector{receipt_status::ok});
}

} // namespace
