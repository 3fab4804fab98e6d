#include "journal_fixture.hpp"

#include <set>

namespace {

using namespace ron::test;
using strings = std::vector<std::string>;

struct JournalBatch : ::testing::Test {
  test_folder folder;
  core::manual_clock clock;
  set_faults injected;
  std::unique_ptr<journal> store;

  void open(std::uint64_t map_bytes) {
    lmdb_journal_options o;
    o.path = folder.path + "/mail";
    o.map_bytes = map_bytes;
    auto db = open_lmdb_journal(o, clock, &injected);
    ASSERT_TRUE(db) << db.error().message;
    store = std::move(*db);
  }
};

keep_mail mail_of(std::uint64_t seq, const std::string& id, const std::string& payload = {}) {
  mail_body body;
  body.id = id;
  body.payload = core::bytes::copy(std::string_view{payload});
  return change_of(seq, std::move(body));
}

// One commit for all of them, and still each entry is kept or refused by itself.
TEST_F(JournalBatch, ABatchThatDoesNotFitLosesOnlyWhatItHasNoRoomFor) {
  open(2u << 20);
  ASSERT_TRUE(write(*store, {mail_of(1, "old")}));
  const auto syncs = store->stats().log.syncs;

  journal_batch b;
  constexpr std::uint64_t mails = 20;
  for (std::uint64_t i = 0; i < mails; ++i) {
    b.changes.emplace_back(
      mail_of(100 + i, "m" + std::to_string(i), std::string(200'000, 'x')));
    b.ends.push_back(b.changes.size());
  }
  b.ends.push_back(b.changes.size()); // nothing, told of all the same
  b.changes.emplace_back(forget_mail{1, 1});
  b.ends.push_back(b.changes.size());
  std::promise<batch_outcome> told;
  store->write(0, b, [&](batch_outcome r) { told.set_value(std::move(r)); });
  const auto outcome = told.get_future().get();
  std::set<std::uint64_t> kept;
  for (std::size_t i = 0; i < mails; ++i) {
    auto r = outcome.of(i);
    if (r)
      kept.insert(100 + i);
    else
      EXPECT_EQ(r.error().code, ec::store_quota);
  }
  EXPECT_GT(kept.size(), 2u);
  EXPECT_LT(kept.size(), mails);
  EXPECT_TRUE(outcome.of(mails));
  EXPECT_TRUE(outcome.of(mails + 1)) << "what makes room is not held up";
  EXPECT_EQ(store->stats().log.syncs, syncs + 1);

  std::set<std::uint64_t> there;
  auto page = store->read({}, {});
  ASSERT_TRUE(page);
  for (auto at = page->next;; at = page->next) {
    for (const auto& m : page->mail)
      there.insert(m.seq);
    if (at.done)
      break;
    page = store->read({}, at);
    ASSERT_TRUE(page);
  }
  EXPECT_EQ(there, kept);
}

TEST_F(JournalBatch, ABatchWhoseCommitFailsFailsAsAWhole) {
  open(16u << 20);
  journal_batch b;
  for (std::uint64_t seq : {1, 2}) {
    b.changes.emplace_back(mail_of(seq, "m"));
    b.ends.push_back(b.changes.size());
  }
  injected.sync_code = ENOSPC;
  std::promise<batch_outcome> told;
  store->write(0, b, [&](batch_outcome r) { told.set_value(std::move(r)); });
  const auto outcome = told.get_future().get();
  EXPECT_EQ(outcome.of(0).error().code, ec::disk_full);
  EXPECT_EQ(outcome.of(1).error().code, ec::disk_full);
}

TEST_F(Journal, ABatchThatFailsWasNeverSent) {
  auto b = batch_of({"1", "2", "3"}, "k");
  b.messages[0].key = b.messages[2].key = "key";
  injected.sync_code = ENOSPC;
  EXPECT_EQ(send_batch(b).error().code, ec::disk_full);
  injected.sync_code = 0;
  EXPECT_EQ(box->messages() + box->remembered() + box->topics() + box->bytes(), 0u);
  EXPECT_EQ(box->stats().sent_total, 0u);
  const auto s = send_batch(b);
  ASSERT_TRUE(s);
  EXPECT_EQ(duplicates(*s), 0u);
  EXPECT_EQ(texts(receive()), (strings{"1", "2"})) << "the third waits for the first of its key";
}

TEST_F(Journal, ABatchIsDeliveredOnceAllOfItIsKeptAndItsReplayWaits) {
  const auto b = batch_of({"1", "2", "3"}, "k");
  const auto a = box->send(outgoing_batch{b}, clock.now(), 0);
  ASSERT_TRUE(a);
  EXPECT_EQ(a->count, 3u);
  EXPECT_TRUE(receive().empty());
  auto longer = b;
  longer.messages.push_back(b.messages[0]);
  for (const auto& again : {b, longer}) {
    const auto replay = box->send(outgoing_batch{again}, clock.now(), 0);
    ASSERT_TRUE(replay);
    EXPECT_EQ(replay->behind, a->unconfirmed + 2);
    EXPECT_EQ(box->messages(), 3u) << "nothing is done before that is known";
  }
  keep();
  box->confirm(*a, clock.now());
  const auto replay = send_batch(longer);
  ASSERT_TRUE(replay);
  EXPECT_EQ(duplicates(*replay), 3u);
  EXPECT_EQ(texts(receive()), (strings{"1", "2", "3", "1"}));
}

TEST_F(Journal, AReplayOfABatchIsKnownAfterARestartAndSendsWhatWasLost) {
  const auto b = batch_of({"1", "2", "3", "4"}, "k");
  auto some = b;
  some.messages.resize(2); // as if only they had outlived a crash
  const auto first = send_batch(some);
  ASSERT_TRUE(first);
  restart();
  const auto again = send_batch(b);
  ASSERT_TRUE(again);
  EXPECT_EQ(duplicates(*again), 2u);
  EXPECT_EQ(box->messages(), 4u);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_TRUE(again->messages[i].duplicate);
    EXPECT_EQ(again->messages[i].message_id, first->messages[i].message_id);
  }
  restart();
  const auto all = send_batch(b);
  ASSERT_TRUE(all);
  EXPECT_EQ(duplicates(*all), 4u);
  for (std::size_t i = 0; i < 4; ++i)
    EXPECT_EQ(all->messages[i].message_id, again->messages[i].message_id);
  EXPECT_EQ(texts(receive()), (strings{"1", "2", "3", "4"}));
}

} // namespace
