#include "partition_fixture.hpp"

/// Messages that are sent together.
namespace {

using namespace ron::test;

TEST_F(Partition, ABatchIsSentInItsOrder) {
  auto b = batch_of({"a1", "b1", "a2", "plain"});
  b.messages[0].key = b.messages[2].key = "a";
  b.messages[1].key = "b";
  const auto s = send(b);
  ASSERT_TRUE(s);
  EXPECT_EQ(p().stats().sent_total, 4u);
  std::vector<std::string> told;
  for (const auto& one : s->messages) {
    EXPECT_FALSE(one.duplicate);
    told.push_back(one.message_id);
  }
  EXPECT_TRUE(std::ranges::is_sorted(told));
  auto ds = receive();
  ASSERT_EQ(texts(ds), (strings{"a1", "b1", "plain"}));
  EXPECT_EQ(ds[0].message_id, told[0]);
  EXPECT_EQ(ds[2].message_id, told[3]);
  p().ack("t", {ds[0].receipt}, now);
  ds = receive();
  ASSERT_EQ(texts(ds), strings{"a2"});
  EXPECT_EQ(ds[0].message_id, told[2]);
}

TEST_F(Partition, EachMessageOfABatchHasItsOwnDelayAndTimeToLive) {
  auto b = batch_of({"late", "brief", "plain"});
  b.messages[0].delay = 1s;
  b.messages[1].ttl = 500ms;
  ASSERT_TRUE(send(b));
  now += 600ms;
  EXPECT_EQ(texts(receive()), strings{"plain"});
  now += 400ms;
  EXPECT_EQ(texts(receive()), strings{"late"});
}

/// What a refused send must not change.
struct holdings {
  std::size_t messages, topics, remembered;
  std::uint64_t bytes, sent, duplicates;
  explicit holdings(const partition& p)
    : messages(p.messages()), topics(p.topics()), remembered(p.remembered()), bytes(p.bytes()),
      sent(p.stats().sent_total), duplicates(p.stats().duplicates_total) {
    // nop
  }
  bool operator==(const holdings&) const = default;
};

TEST_F(Partition, ABatchThatDoesNotFitIsRefusedAsAWhole) {
  limits.messages_max = 4;
  limits.bytes_max = 4'000;
  limits.topics_max = 1;
  limits.dedup_max = 5;
  limits.dedup_caller_max = 3;
  send("first");
  const holdings before{p()};
  auto refused = [&](const outgoing_batch& b, ec why) {
    const auto s = send(b);
    ASSERT_FALSE(s);
    EXPECT_EQ(s.error().code, why) << s.error().message;
    EXPECT_EQ(holdings{p()}, before);
  };
  refused(batch_of({"1", "2", "3", "4"}), ec::store_quota);
  EXPECT_EQ(p().stats().refused_total, 4u) << "a message each";
  refused(batch_of({"1", std::string(3'500, 'x')}), ec::store_quota);
  auto elsewhere = batch_of({"1", "2"});
  elsewhere.topic = "u";
  refused(elsewhere, ec::store_quota);
  limits.messages_max = 10;
  limits.topics_max = 2;
  box.reset();
  send("first");
  refused(batch_of({"1", "2", "3", "4"}, "k"), ec::quota);
  ASSERT_TRUE(send(batch_of({"1", "2", "3"}, "k"))) << "as many as there may be";
  auto another = batch_of({"1", "2", "3"}, "k");
  another.caller = "bob";
  EXPECT_EQ(send(another).error().code, ec::quota) << "of all callers together";
  another.messages.pop_back();
  EXPECT_TRUE(send(another));
}

TEST_F(Partition, AReplayOfABatchGivesTheSameIdsAndSendsWhatIsNotRemembered) {
  auto b = batch_of({"1", "2", "3"}, "k");
  b.caller = "alice";
  const auto first = send(b);
  ASSERT_TRUE(first);
  auto longer = batch_of({"1", "2", "3", "4"}, "k");
  longer.caller = "alice";
  const auto again = send(longer);
  ASSERT_TRUE(again);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(again->messages[i].message_id, first->messages[i].message_id);
    EXPECT_TRUE(again->messages[i].duplicate);
  }
  EXPECT_FALSE(again->messages[3].duplicate);
  EXPECT_EQ(p().messages(), 4u);
  EXPECT_EQ(p().stats().sent_total, 4u);
  EXPECT_EQ(p().stats().duplicates_total, 3u);
  b.messages.resize(2);
  EXPECT_EQ(send(b)->messages[1].message_id, first->messages[1].message_id)
    << "how many they are is no part of it";
  now += 300s;
  EXPECT_FALSE(send(longer)->messages[0].duplicate) << "the window is over";
}

TEST_F(Partition, AConflictInTheMiddleOfABatchChangesNothing) {
  auto b = batch_of({"1", "2", "3"}, "k");
  ASSERT_TRUE(send(b));
  const holdings before{p()};
  b.messages[1].body_hash[7] = 1;
  b.messages.resize(5);
  EXPECT_EQ(send(b).error().code, ec::conflict);
  EXPECT_EQ(holdings{p()}, before);
}

TEST_F(Partition, OneKeyIsNotForABatchAndASingleSend) {
  auto single = mail("x");
  single.body_hash[0] = 1; // it names the topic, a message of a batch does not
  single.idempotency_key = "k";
  ASSERT_TRUE(p().send(outgoing{single}, now, 0));
  EXPECT_EQ(send(batch_of({"x", "y"}, "k")).error().code, ec::conflict);
  single.idempotency_key = "other";
  ASSERT_TRUE(send(batch_of({"x", "y"}, "other")));
  EXPECT_EQ(p().send(outgoing{single}, now, 0).error().code, ec::conflict);
}

TEST_F(Partition, ABatchConfirmedLateLosesWhatHasExpired) {
  bucket_of = [](std::string_view) { return bucket{0}; };
  auto b = batch_of({"brief", "stays", "brief"});
  b.messages[0].ttl = b.messages[2].ttl = 1s;
  b.messages[0].key = b.messages[1].key = "k";
  const auto a = p().send(outgoing_batch{b}, now, 0);
  ASSERT_TRUE(a);
  now += 2s;
  EXPECT_TRUE(receive().empty());
  p().confirm(*a, now);
  EXPECT_EQ(texts(receive()), strings{"stays"});
  EXPECT_EQ(p().messages(), 1u);
  EXPECT_EQ(p().stats().expired_total, 2u);
}

} // namespace
