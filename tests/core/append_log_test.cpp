#include "log_fixture.hpp"

#include "core/store/log_segments.hpp"

#include <fstream>

namespace {

using namespace ron::test;

constexpr std::size_t page = log_page_bytes;

// -- which segments hold what ---------------------------------------------------------------------

TEST(LogSegments, ARingThatGrowsToItsBound) {
  log_segments s{4 * page, 3};
  s.reset(0, 0, 0, 0);
  std::vector<std::size_t> slots;
  for (int i = 0; i < 9; ++i) { // three of a page fit into each
    const auto at = s.place_for(page, true);
    ASSERT_TRUE(at) << i;
    EXPECT_EQ(at->is_new, i % 3 == 0);
    EXPECT_EQ(at->end, page * (1 + static_cast<std::size_t>(i) % 3));
    slots.push_back(at->slot);
    s.wrote(page);
  }
  EXPECT_EQ(slots, (std::vector<std::size_t>{0, 0, 0, 1, 1, 1, 2, 2, 2}));
  EXPECT_EQ(s.last_lsn(), 9u);
  EXPECT_EQ(s.bytes(), 9 * page);
  EXPECT_FALSE(s.place_for(page, true)) << "all are full";
  s.applied(5);
  EXPECT_EQ(s.bytes(), 6 * page);
  const auto again = s.place_for(page, true);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->slot, 0u);
  EXPECT_EQ(again->generation, 4u);
  EXPECT_EQ(again->first_lsn, 10u);
}

TEST(LogSegments, NoneIsUsedAnewWhileSomebodyCopies) {
  log_segments s{2 * page, 2};
  s.reset(1, 3, 1, 3);
  EXPECT_EQ(s.place_for(page, false)->slot, 1u) << "one that never was";
  s.wrote(page);
  EXPECT_FALSE(s.place_for(page, false));
  EXPECT_EQ(s.place_for(page, true)->slot, 0u);
}

TEST(LogSegments, AfterAFailureAnotherSegmentTakesTheNumber) {
  log_segments s{8 * page, 4};
  s.reset(0, 0, 0, 0);
  s.place_for(page, true);
  s.wrote(page);
  s.place_for(page, true);
  s.failed();
  auto at = s.place_for(page, true);
  EXPECT_EQ(at->slot, 1u);
  EXPECT_EQ(at->first_lsn, 2u);
  EXPECT_TRUE(at->is_new);
  s.failed();
  at = s.place_for(page, true);
  EXPECT_EQ(at->slot, 1u) << "nothing in it counts: it is begun again";
  EXPECT_EQ(at->generation, 3u);
  s.wrote(page);
  s.applied(1);
  EXPECT_EQ(s.bytes(), page);
}

TEST(LogSegments, AnEmptyOneTakesAnOverlongRecord) {
  log_segments s{4 * page, 2};
  s.reset(0, 0, 0, 0);
  EXPECT_EQ(s.place_for(10 * page, true)->end, page);
  s.wrote(10 * page);
  EXPECT_EQ(s.place_for(page, true)->slot, 1u);
}

TEST(LogSegments, WhatIsFoundAtTheOpeningIsKeptUntilItIsApplied) {
  log_segments s{4 * page, 3};
  s.reset(3, 20, 5, 10);
  EXPECT_FALSE(s.place_for(page, true));
  s.applied(20);
  EXPECT_EQ(s.bytes(), 0u);
  EXPECT_EQ(s.place_for(page, true)->generation, 6u);
}

// -- on disk --------------------------------------------------------------------------------------

struct AppendLog : StoreFixture {
  append_log_options log_options() const { return {root, 77, 4 * page, 4}; }
  std::vector<log_image> images;

  std::unique_ptr<append_log> open_log(std::uint64_t applied, log_replay* replay = nullptr) {
    auto out = std::make_unique<append_log>(log_options(), &injected);
    auto r = out->open(applied, images);
    if (!r)
      throw std::runtime_error(r.error().message);
    if (replay != nullptr)
      *replay = std::move(*r);
    return out;
  }
  static result<void> append(append_log& to, std::string_view s) {
    const auto v = text(s);
    return to.append(std::span{&v, 1});
  }
  static std::vector<std::string> payloads(const log_replay& r) {
    std::vector<std::string> out;
    for (const auto& one : r.records)
      out.push_back(string(one.payload));
    return out;
  }
};

TEST_F(AppendLog, RecordsSurviveAndSegmentsAreUsedAgain) {
  auto records = open_log(0);
  for (int i = 1; i <= 40; ++i) {
    ASSERT_TRUE(append(*records, std::to_string(i)));
    if (i > 3)
      records->applied(static_cast<std::uint64_t>(i) - 3);
  }
  EXPECT_LE(records->segments(), 3u);
  log_replay r;
  records = open_log(37, &r);
  EXPECT_EQ(payloads(r), (std::vector<std::string>{"38", "39", "40"}));
  EXPECT_TRUE(r.damages.empty());
  for (std::size_t i = 0; i < records->segments(); ++i)
    EXPECT_EQ(fs::file_size(log_file_name(root, i)), 4 * page);
}

// A log that the program before has left is read, and goes on in the version of this one.
TEST_F(AppendLog, GoesOnWithTheLogOfTheProgramBefore) {
  constexpr std::size_t file_bytes = 4 * page;
  std::uint64_t lsn = 0;
  for (std::uint64_t generation = 1; generation <= 3; ++generation) {
    log_image image(file_bytes);
    std::ranges::copy(encode_head_v1({{77, generation}, lsn + 1}), image.begin());
    for (auto at = page; at < file_bytes; at += page) {
      const auto said = "old " + std::to_string(++lsn);
      const auto head = encode_record_head_v1({77, generation}, lsn, text(said));
      auto to = image.begin() + static_cast<std::ptrdiff_t>(at);
      std::ranges::copy(text(said), std::ranges::copy(head, to).out);
    }
    std::ofstream{log_file_name(root, generation - 1), std::ios::binary}.write(
      reinterpret_cast<const char*>(image.data()), static_cast<std::streamsize>(image.size()));
  }
  log_replay r;
  auto records = open_log(5, &r);
  EXPECT_EQ(payloads(r), (std::vector<std::string>{"old 6", "old 7", "old 8", "old 9"}));
  EXPECT_TRUE(r.damages.empty());
  ASSERT_TRUE(append(*records, "new 10")); // in a fourth file: the three are not applied
  records = open_log(5, &r);
  EXPECT_EQ(payloads(r),
            (std::vector<std::string>{"old 6", "old 7", "old 8", "old 9", "new 10"}));
  EXPECT_EQ(r.last_generation, 4u);
  records->applied(10);
  for (int i = 11; i <= 14; ++i)
    ASSERT_TRUE(append(*records, "new " + std::to_string(i))); // in the old files
  records = open_log(10, &r);
  EXPECT_EQ(payloads(r), (std::vector<std::string>{"new 11", "new 12", "new 13", "new 14"}));
  EXPECT_TRUE(r.damages.empty());
  EXPECT_EQ(records->segments(), 4u);
}

TEST_F(AppendLog, IsFullUntilSomethingIsApplied) {
  auto records = open_log(0);
  for (int i = 0; i < 12; ++i)
    ASSERT_TRUE(append(*records, "x"));
  EXPECT_FALSE(records->has_place(1));
  const auto full = append(*records, "x");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ec::busy);
  EXPECT_EQ(records->bytes(), 12 * page);
  EXPECT_LE(records->bytes(), records->bytes_max());
  records->applied(3);
  EXPECT_TRUE(append(*records, "x"));
  EXPECT_EQ(records->last_lsn(), 13u);
}

TEST_F(AppendLog, AnOverlongRecordIsKeptAndItsFileShrinksAgain) {
  auto records = open_log(0);
  const std::string much(20 * page, 'y');
  ASSERT_TRUE(append(*records, much));
  ASSERT_TRUE(append(*records, "z"));
  log_replay r;
  records = open_log(0, &r);
  EXPECT_EQ(payloads(r), (std::vector<std::string>{much, "z"}));
  records->applied(2);
  for (int i = 0; i < 4; ++i)
    ASSERT_TRUE(append(*records, "x"));
  EXPECT_EQ(fs::file_size(log_file_name(root, 0)), 4 * page);
}

// Whatever fails when: what was appended is there in order, what failed is not.
TEST_F(AppendLog, AnyNthSyncMayFail) {
  for (int every = 1; every <= 7; ++every) {
    SCOPED_TRACE(every);
    fs::remove_all(root);
    fs::create_directory(root);
    auto records = open_log(0);
    injected.syncs = 0;
    injected.sync_every = every;
    std::vector<std::string> kept;
    std::uint64_t applied = 0;
    for (int i = 0; i < 60; ++i) {
      injected.sync_code = i % 2 ? EIO : ENOSPC;
      const auto said = std::to_string(i);
      const auto ok = append(*records, said);
      if (ok) {
        kept.push_back(said);
      } else {
        EXPECT_TRUE(ok.error().code == ec::degraded || ok.error().code == ec::disk_full
                    || ok.error().code == ec::busy)
          << ok.error().message;
        records->applied(applied = records->last_lsn()); // as a checkpoint does
      }
    }
    EXPECT_EQ(records->last_lsn(), kept.size());
    injected.sync_every = 0;
    log_replay r;
    records = open_log(applied, &r);
    kept.erase(kept.begin(), kept.begin() + static_cast<std::ptrdiff_t>(applied));
    auto found = payloads(r);
    ASSERT_GE(found.size(), kept.size());
    // One that failed last may be there: nothing after it made it void.
    EXPECT_LE(found.size(), kept.size() + 1);
    found.resize(kept.size());
    EXPECT_EQ(found, kept);
    EXPECT_TRUE(r.damages.empty());
  }
}

TEST_F(AppendLog, WhatFailedIsVoidOnceSomethingElseIsKept) {
  auto records = open_log(0);
  ASSERT_TRUE(append(*records, "a"));
  injected.sync_every = 1;
  ASSERT_FALSE(append(*records, "refused"));
  injected.sync_every = 0;
  ASSERT_TRUE(append(*records, "b"));
  log_replay r;
  records = open_log(0, &r);
  EXPECT_EQ(payloads(r), (std::vector<std::string>{"a", "b"}));
}

TEST_F(AppendLog, AFolderThatIsGoneIsAnErrorAndNoCrash) {
  auto records = open_log(0);
  ASSERT_TRUE(append(*records, "a"));
  fs::remove_all(root);
  ASSERT_TRUE(append(*records, "b"));
  ASSERT_TRUE(append(*records, "c"));
  EXPECT_FALSE(append(*records, "d")) << "it needs another segment";
  fs::create_directory(root);
  EXPECT_TRUE(append(*records, "d"));
}

TEST_F(AppendLog, TheLogOfAnotherStoreIsRefused) {
  auto records = open_log(0);
  ASSERT_TRUE(append(*records, "a"));
  auto o = log_options();
  o.id = 78;
  append_log strange{o, nullptr};
  const auto r = strange.open(0, images);
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error().code, ec::precondition_failed);
}

TEST_F(AppendLog, IsReadWholeWhileItGrows) {
  auto records = open_log(0);
  for (int i = 1; i <= 8; ++i)
    ASSERT_TRUE(append(*records, std::to_string(i)));
  const auto found = read_log(root);
  ASSERT_TRUE(found) << found.error().message;
  ASSERT_EQ(found->size(), 3u);
  EXPECT_EQ(found->front().first, 2u) << "the newest first";
  std::vector<scanned_segment> all;
  for (const auto& [slot, image] : *found)
    all.push_back(scan_segment(image, slot, 77));
  EXPECT_EQ(replay_of(std::move(all), 0).last_lsn, 8u);
}

TEST_F(AppendLog, WhileItIsCopiedNoSegmentIsUsedAnew) {
  auto records = open_log(0);
  for (int i = 0; i < 12; ++i)
    ASSERT_TRUE(append(*records, "x"));
  records->applied(12);
  {
    const auto copying = file_lock::take(root + "/" + log_lock_name, file_lock::mode::shared);
    ASSERT_TRUE(copying);
    EXPECT_FALSE(records->has_place(1));
  }
  EXPECT_TRUE(append(*records, "x"));
  EXPECT_TRUE(file_lock::take(root + "/" + log_lock_name, file_lock::mode::shared))
    << "held for no longer than it is needed";
}

} // namespace
