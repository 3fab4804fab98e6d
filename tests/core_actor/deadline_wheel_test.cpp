#include "core/actor/deadline_wheel.hpp"
#include "core/actor/id_table.hpp"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <unordered_map>

using namespace std::chrono_literals;
using ron::core::deadline_wheel;
using ron::core::id_table;
using ron::core::instant;

namespace {

using wheel = deadline_wheel<int>;

std::multiset<int> take_due(wheel& w, instant now) {
  std::multiset<int> out;
  w.each_due(now, [&](wheel::handle h) { out.insert(w.remove(h)); });
  return out;
}

} // namespace

TEST(DeadlineWheel, ComesUpWithinASlotAndNeverEarly) {
  wheel w;
  w.add(instant{1'000'500us}, 1);
  EXPECT_EQ(w.next(), instant{1'001ms});
  EXPECT_TRUE(take_due(w, instant{1'000'999us}).empty());
  EXPECT_EQ(take_due(w, instant{1'001ms}), std::multiset{1});
  EXPECT_FALSE(w.next());
}

TEST(DeadlineWheel, WhatIsTakenBackNeverComesUp) {
  wheel w;
  auto a = w.add(instant{10ms}, 1);
  w.add(instant{10ms}, 2);
  EXPECT_EQ(w.remove(a), 1);
  EXPECT_EQ(take_due(w, instant{1h}), std::multiset{2});
  EXPECT_TRUE(w.empty());
}

TEST(DeadlineWheel, AnEarlierDeadlineMovesTheNextLookForward) {
  wheel w;
  w.add(instant{5s}, 1);
  w.add(instant{10ms}, 2);
  EXPECT_EQ(w.next(), instant{10ms});
  EXPECT_EQ(take_due(w, instant{1s}), std::multiset{2});
  EXPECT_EQ(w.next(), instant{5s});
}

TEST(DeadlineWheel, ADeadlineBeyondARevolutionWaitsForItsTime) {
  wheel w;
  w.add(instant{1h}, 1);
  for (instant t{0s}; t < instant{1h}; t += 1s)
    ASSERT_TRUE(take_due(w, t).empty());
  EXPECT_EQ(take_due(w, instant{1h}), std::multiset{1});
}

TEST(DeadlineWheel, ALongPauseSkipsNothing) {
  wheel w;
  for (int i = 0; i < 100; ++i)
    w.add(instant{std::chrono::milliseconds{i * 97}}, i);
  EXPECT_EQ(take_due(w, instant{24h}).size(), 100u);
}

TEST(DeadlineWheel, AgreesWithAnOrderedMap) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    auto pick = [&](int below) { return std::uniform_int_distribution{0, below - 1}(random); };
    wheel w;
    std::map<int, std::pair<instant, wheel::handle>> model;
    instant now{std::chrono::seconds{pick(100'000)}};
    for (int id = 0; id < 2'000; ++id) {
      auto due = now + std::chrono::microseconds{pick(pick(2) ? 50'000 : 20'000'000)};
      model[id] = {due, w.add(due, id)};
      if (pick(3) > 0 && !model.empty()) {
        auto victim = std::next(model.begin(), pick(static_cast<int>(model.size())));
        ASSERT_EQ(w.remove(victim->second.second), victim->first);
        model.erase(victim);
      }
      if (pick(4) == 0)
        now += std::chrono::microseconds{pick(pick(10) ? 3'000 : 9'000'000)};
      auto due_now = take_due(w, now);
      for (auto i : due_now) {
        ASSERT_TRUE(model.contains(i));
        ASSERT_LE(model[i].first, now);
        model.erase(i);
      }
      for (auto& [i, m] : model)
        ASSERT_GT(m.first + wheel::grain, now) << i << " is overdue";
      ASSERT_EQ(w.size(), model.size());
      if (auto next = w.next()) {
        ASSERT_GT(*next, now);
        for (auto& [i, m] : model)
          ASSERT_LE(*next, m.first + wheel::grain);
      }
    }
  }
}

TEST(IdTable, AgreesWithAMap) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random{seed};
    id_table<std::uint64_t> table;
    std::unordered_map<std::uint64_t, std::uint64_t> model;
    for (int i = 0; i < 20'000; ++i) {
      auto id = 1 + random() % 500;
      if (auto* found = table.find(id)) {
        ASSERT_EQ(*found, model.at(id));
        table.erase(id);
        model.erase(id);
      } else {
        ASSERT_FALSE(model.contains(id));
        table.insert(id, random());
        model[id] = *table.find(id);
      }
      ASSERT_EQ(table.size(), model.size());
    }
    for (auto& [id, value] : model)
      ASSERT_EQ(*table.find(id), value);
  }
}
