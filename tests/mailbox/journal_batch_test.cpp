#include "mailbox_fixture.hpp"

#include <set>

namespace {

using namespace ron::test;

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

keep_mail mail_of(std::uint64_t seq, std::string id) {
  keep_mail m;
  m.in = 1;
  m.seq = seq;
  m.topic = core::bytes::literal("t");
  m.body.id = std::move(id);
  return m;
}

// One commit for all of them, and still each entry is kept or refused by itself.
TEST_F(JournalBatch, ABatchThatDoesNotFitLosesOnlyWhatItHasNoRoomFor) {
  open(2u << 20);
  ASSERT_TRUE(write(*store, {mail_of(1, "old")}));
  const auto syncs = store->stats().log.syncs;

  journal_batch b;
  constexpr std::uint64_t mails = 20;
  for (std::uint64_t i = 0; i < mails; ++i) {
    auto m = mail_of(100 + i, "m" + std::to_string(i));
    m.body.payload = core::bytes::copy(std::string(200'000, 'x'));
    b.changes.emplace_back(std::move(m));
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

} // namespace
