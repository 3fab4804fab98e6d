#include "mailbox/timeline.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <iterator>
#include <random>
#include <set>

namespace ron::test {

using mailbox::timeline;
using entry = timeline::entry;
using namespace std::chrono_literals;

namespace {

entry at(int ms, std::uint64_t seq) {
  return {core::instant{std::chrono::milliseconds{ms}}, seq};
}

void expect_same(const timeline& t, const std::set<entry>& model) {
  ASSERT_EQ(t.size(), model.size());
  ASSERT_EQ(t.empty(), model.empty());
  if (!model.empty()) {
    ASSERT_EQ(t.front(), *model.begin());
  }
}

} // namespace

TEST(Timeline, GivesBackByTimeThenByNumber) {
  timeline t;
  for (const auto& e : {at(5, 1), at(5, 2), at(9, 3), at(1, 4), at(5, 3)})
    t.insert(e);
  for (const auto& e : {at(1, 4), at(5, 1), at(5, 2), at(5, 3), at(9, 3)}) {
    ASSERT_EQ(t.front(), e);
    t.pop_front();
  }
  EXPECT_TRUE(t.empty());
}

TEST(Timeline, ErasesWhatIsThereAndNothingElse) {
  timeline t;
  t.erase(at(1, 1));
  for (std::uint64_t seq = 1; seq <= 4; ++seq)
    t.insert(at(static_cast<int>(seq), seq));
  t.erase(at(2, 2));
  t.erase(at(2, 2));
  t.erase(at(2, 9));
  t.erase(at(1, 1));
  EXPECT_EQ(t.size(), 2u);
  EXPECT_EQ(t.front(), at(3, 3));
  t.erase(at(3, 3));
  t.erase(at(4, 4));
  EXPECT_TRUE(t.empty());
  t.insert(at(1, 5)); // before all that ever was there
  EXPECT_EQ(t.front(), at(1, 5));
}

// One that comes back after it was erased is there once.
TEST(Timeline, TakesBackWhatHasLeft) {
  timeline t;
  t.insert(at(1, 1));
  t.insert(at(2, 2));
  t.insert(at(3, 3));
  t.erase(at(2, 2));
  t.insert(at(2, 2));
  EXPECT_EQ(t.size(), 3u);
  t.erase(at(2, 2));
  EXPECT_EQ(t.size(), 2u);
  t.pop_front();
  EXPECT_EQ(t.front(), at(3, 3));
}

TEST(Timeline, IsASetWhateverComesInWhateverOrder) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE(seed);
  std::mt19937_64 dice{seed};
  timeline t;
  std::set<entry> model;
  int clock = 0;
  std::uint64_t last = 0;
  for (int step = 0; step < 20'000; ++step) {
    const bool grows = step / 2'000 % 2 == 0;
    const auto what = dice() % 10;
    if (what < (grows ? 6u : 2u) || model.empty()) {
      const bool in_order = dice() % 8 != 0;
      const auto e = at(in_order ? clock++ : static_cast<int>(dice() % 5'000), ++last);
      t.insert(e);
      model.insert(e);
    } else if (what < 8) {
      t.pop_front();
      model.erase(model.begin());
    } else {
      const auto i = std::next(model.begin(), static_cast<int>(dice() % model.size()));
      t.erase(*i);
      model.erase(i);
    }
    ASSERT_NO_FATAL_FAILURE(expect_same(t, model));
  }
}

// The oldest stays and all others leave: what has left does not pile up behind it.
TEST(Timeline, HoldsLittleMoreThanWhatIsInIt) {
  timeline t;
  t.insert(at(0, 1));
  for (std::uint64_t seq = 2; seq < 100'000; ++seq) {
    t.insert(at(static_cast<int>(seq), seq));
    if (seq > 10)
      t.erase(at(static_cast<int>(seq - 8), seq - 8));
    ASSERT_LE(t.held(), 128u);
  }
  EXPECT_EQ(t.front(), at(0, 1));
}

} // namespace ron::test
