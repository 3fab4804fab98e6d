#include "log_fixture.hpp"

#include <algorithm>

namespace {

using namespace ron::test;

/// Segments of random records: of the version that is written, of the one before, or of either.
enum class written { now, before, mixed };

struct LogScan : ::testing::TestWithParam<written> {
  log_in_memory log;
  random_steps steps{seed_of_this_run()};

  void fill(std::size_t segments, std::size_t records) {
    for (std::size_t s = 0; s < segments; ++s) {
      if (GetParam() != written::now)
        log.version = GetParam() == written::before ? 1 : 1 + steps.dice()() % 2;
      log.begin_segment();
      for (std::size_t r = 0; r < records; ++r) // of one page, and of several
        log.append(steps.next(r % 3 == 0 ? 4'000 : 50).view());
    }
  }
  /// What a store has after the first `n` records, without those in `missing`.
  model after(std::uint64_t n, const std::vector<log_damage>& missing = {}) const {
    model m;
    for (std::uint64_t lsn = 1; lsn <= n; ++lsn)
      if (std::ranges::none_of(missing, [lsn](const log_damage& d) {
            return d.first_lsn <= lsn && lsn <= d.last_lsn;
          }))
        apply_to(m, log.payloads[lsn - 1]);
    return m;
  }
  static model of(const log_replay& r) {
    model m;
    for (const auto& one : r.records)
      apply_to(m, one.payload);
    return m;
  }
};

TEST_P(LogScan, EverythingComesBackInOrder) {
  fill(3, 9);
  const auto r = log.replay();
  EXPECT_EQ(r.last_lsn, 27u);
  EXPECT_EQ(r.last_generation, 3u);
  EXPECT_TRUE(r.damages.empty());
  EXPECT_EQ(r.records.size(), 27u);
  EXPECT_EQ(of(r), after(27));
  const auto rest = log.replay(20);
  EXPECT_EQ(rest.records.size(), 7u);
  EXPECT_EQ(rest.records.front().lsn, 21u);
  EXPECT_TRUE(log.replay(27).records.empty());
  EXPECT_EQ(log.replay(27).last_lsn, 27u);
}

TEST_P(LogScan, AnEmptyLogHasNothing) {
  EXPECT_EQ(log.replay(12).last_lsn, 12u);
  log.segments.emplace_back(log_image(64'000));
  EXPECT_EQ(log.replay(12).last_lsn, 12u);
  EXPECT_TRUE(log.replay(12).damages.empty());
}

// The file ends anywhere in its last records, or what follows is what lay there before.
TEST_P(LogScan, ATailTornAtAnyByteLosesWhatWasTornAndNothingElse) {
  fill(2, 4);
  const auto whole = log.segments.back();
  auto before = whole; // differs in each byte, or the record might be whole after all
  for (auto& b : before)
    b ^= static_cast<std::uint8_t>(1 + steps.dice()() % 255);
  for (std::size_t cut = log_page_bytes; cut <= whole.size(); ++cut) {
    std::uint64_t kept = 4;
    for (auto at = log_page_bytes;;) {
      const auto r = decode_record(whole, at);
      if (!r || at + log_record_head_bytes + r->payload.size() > cut)
        break;
      at += log_record_bytes(r->payload.size());
      ++kept;
    }
    for (const bool garbage : {false, true}) {
      auto& image = log.segments.back();
      image.assign(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(cut));
      if (garbage)
        image.insert(image.end(), before.begin() + static_cast<std::ptrdiff_t>(cut), before.end());
      const auto r = log.replay();
      ASSERT_EQ(r.last_lsn, kept) << "cut at " << cut;
      ASSERT_TRUE(r.damages.empty()) << "cut at " << cut;
      if (cut % 61 == 0) {
        ASSERT_EQ(of(r), after(kept)) << "cut at " << cut;
      }
    }
  }
}

// Any bit may change: no wrong byte is ever replayed, and what was lost in the middle is named.
TEST_P(LogScan, AnyFlippedBitIsNoticed) {
  fill(3, 6);
  auto& dice = steps.dice();
  const auto sound = log.segments;
  int named = 0;
  for (int round = 0; round < 2'000; ++round) {
    log.segments = sound;
    for (auto n = 1 + dice() % 3; n > 0; --n) {
      auto& image = log.segments[dice() % log.segments.size()];
      image[dice() % image.size()] ^= static_cast<std::uint8_t>(1u << dice() % 8);
    }
    const auto applied = dice() % 10;
    const auto r = log.replay(applied);
    for (const auto& one : r.records)
      ASSERT_TRUE(std::ranges::equal(one.payload, log.payloads[one.lsn - 1]));
    std::uint64_t next = applied + 1;
    auto damage = r.damages.begin();
    for (const auto& one : r.records) {
      if (damage != r.damages.end() && damage->first_lsn == next)
        next = (damage++)->last_lsn + 1;
      ASSERT_EQ(one.lsn, next++) << "a gap that nobody speaks of, round " << round;
    }
    named += r.damages.empty() ? 0 : 1;
    // What is behind the last whole record cannot be told from what was torn; one or few records.
    ASSERT_GE(r.last_lsn, 15u);
  }
  EXPECT_GT(named, 200);
}

TEST_P(LogScan, ASegmentThatIsGoneIsNamed) {
  fill(3, 5);
  log.segments[1].clear();
  const auto r = log.replay(2);
  ASSERT_EQ(r.damages.size(), 1u);
  EXPECT_EQ(r.damages[0].first_lsn, 6u);
  EXPECT_EQ(r.damages[0].last_lsn, 10u);
  EXPECT_EQ(r.last_lsn, 15u);
  EXPECT_TRUE(log.replay(10).damages.empty()) << "that was applied";
}

TEST_P(LogScan, ADamagedHeadHidesNoRecord) {
  fill(3, 5);
  log.segments[1][20] ^= 1;
  const auto r = log.replay();
  EXPECT_EQ(r.last_lsn, 15u);
  EXPECT_EQ(of(r), after(15));
}

TEST_P(LogScan, TheLastRecordOfAFullSegmentIsMissed) {
  fill(2, 3);
  log.segments[0].resize(log.segments[0].size() - log_page_bytes);
  const auto r = log.replay();
  ASSERT_EQ(r.damages.size(), 1u);
  EXPECT_EQ(r.damages[0].first_lsn, 3u);
  // The same before a segment that has no record yet.
  log.segments[1].resize(log_page_bytes);
  ASSERT_EQ(log.replay().damages.size(), 1u);
  EXPECT_EQ(log.replay().last_lsn, 3u) << "its number is not used again";
}

// A write failed, and nobody knows what the disk has of it; its number was used again.
TEST_P(LogScan, ARecordThatWasAnsweredWithAnErrorIsVoid) {
  fill(1, 3);
  log.append(text("was refused")); // 4, whole after all
  log.payloads.pop_back();
  log.begin_segment();
  const auto kept = steps.next();
  log.append(kept.view()); // 4
  const auto r = log.replay();
  ASSERT_EQ(r.records.size(), 4u);
  EXPECT_TRUE(std::ranges::equal(r.records[3].payload, kept.view()));
  EXPECT_TRUE(r.damages.empty());
}

TEST_P(LogScan, WhatAnEarlierUseHasLeftIsNotReplayed) {
  fill(1, 6);
  auto old = log.segments[0];
  log.segments.emplace_back();
  log.begin_segment(); // generation 3, in the file of the first
  log.append(text("7"));
  const auto& fresh = log.segments[2];
  std::ranges::copy(fresh, old.begin());
  log.segments = {old};
  const auto r = log.replay(6);
  EXPECT_EQ(r.last_lsn, 7u);
  EXPECT_EQ(r.records.size(), 1u);
  EXPECT_TRUE(r.damages.empty());
}

// A file of the program before is used again, and crashes leave anything of either version in it.
TEST_P(LogScan, ARecordOfAnEarlierUseIsNoneThoughItsVersionIsAnother) {
  fill(1, 5);
  const auto old = log.segments[0];
  log.version = 3 - log.version;
  log.begin_segment(); // generation 2
  log.append(text("6"));
  log.append(text("7"));
  auto image = old;
  std::ranges::copy(log.segments[1], image.begin());
  log.segments = {image};
  auto r = log.replay(5);
  EXPECT_EQ(r.records.size(), 2u);
  EXPECT_EQ(r.last_lsn, 7u);
  EXPECT_EQ(r.last_generation, 2u);
  EXPECT_TRUE(r.damages.empty());
  log.segments[0][9] ^= 1; // the records say it, too
  r = log.replay(5);
  EXPECT_EQ(r.records.size(), 2u);
  EXPECT_EQ(r.last_generation, 2u);
}

TEST_P(LogScan, AnotherStoresLogIsNotRead) {
  fill(1, 3);
  const auto s = scan_segment(log.segments[0], 0, log_in_memory::id + 1);
  EXPECT_FALSE(s.head);
  EXPECT_TRUE(s.records.empty());
}

INSTANTIATE_TEST_SUITE_P(Versions, LogScan,
                         ::testing::Values(written::now, written::before, written::mixed),
                         [](const auto& p) {
                           return std::string{p.param == written::now      ? "Now"
                                              : p.param == written::before ? "Before"
                                                                           : "Mixed"};
                         });

} // namespace
