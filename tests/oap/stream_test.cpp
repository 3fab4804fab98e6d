#include "oap/stream.hpp"

#include "oap/start_rate.hpp"

#include <gtest/gtest.h>

#include <array>
#include <deque>
#include <map>
#include <random>

namespace ron::oap::test {
namespace {

// -- tables ----------------------------------------------------------------------------

TEST(OapCorrMap, IsAMap) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng{seed};
  corr_map<int> m;
  std::map<corr_t, int> model;
  for (int i = 0; i < 200'000; ++i) {
    corr_t corr = rng() % 500 + 1;
    auto known = model.find(corr);
    auto* found = m.find(corr);
    ASSERT_EQ(found != nullptr, known != model.end());
    if (found) {
      ASSERT_EQ(*found, known->second);
    }
    if (rng() % 2) {
      ASSERT_EQ(m.erase(corr), model.erase(corr) == 1);
    } else if (!found) {
      m.insert(corr, i);
      model[corr] = i;
    }
    ASSERT_EQ(m.size(), model.size());
  }
}

TEST(OapStreamTable, ReusesStreams) {
  stream_table t;
  auto& a = t.open(1);
  auto& b = t.open(2);
  EXPECT_EQ(t.find(1), &a);
  EXPECT_EQ(t.find(2), &b);
  EXPECT_EQ(t.find(3), nullptr);
  t.close(a);
  EXPECT_EQ(t.find(1), nullptr);
  auto& c = t.open(3);
  EXPECT_EQ(&c, &a);
  EXPECT_EQ(c.corr, 3u);
  EXPECT_EQ(t.size(), 2u);
  auto memory = t.memory_bytes();
  t.trim();
  EXPECT_EQ(t.memory_bytes(), memory) << "open streams stay";
  t.close(b);
  t.close(c);
  t.trim();
  EXPECT_EQ(t.memory_bytes(), 0u);
}

TEST(OapStreamList, IsAQueueThatForgetsAnyMember) {
  std::array<stream, 4> s{};
  stream_list<&stream::line> l;
  for (auto& x : s)
    l.push_back(x);
  l.push_back(s[1]);
  EXPECT_EQ(l.size(), 4u);
  l.remove(s[1]);
  l.remove(s[1]);
  l.remove(s[3]);
  EXPECT_EQ(l.front(), &s[0]);
  EXPECT_EQ(l.next(s[0]), &s[2]);
  EXPECT_EQ(l.next(s[2]), nullptr);
  l.push_back(s[3]);
  EXPECT_EQ(l.next(s[2]), &s[3]);
  l.remove(s[0]);
  l.remove(s[2]);
  l.remove(s[3]);
  EXPECT_TRUE(l.empty());
  EXPECT_EQ(l.size(), 0u);
}

TEST(OapErroredTable, RemembersTheLast1024) {
  errored_table t;
  for (corr_t c = 1; c <= 3'000; ++c)
    t.remember({.corr = c, .frames_left = static_cast<std::uint32_t>(c)});
  EXPECT_EQ(t.size(), 1'024u);
  EXPECT_EQ(t.find(3'000 - 1'024), nullptr);
  ASSERT_NE(t.find(3'000 - 1'023), nullptr);
  EXPECT_EQ(t.find(3'000)->frames_left, 3'000u);
  t.remember({.corr = 3'000, .frames_left = 7});
  EXPECT_EQ(t.size(), 1'024u);
  EXPECT_EQ(t.find(3'000)->frames_left, 7u);
  EXPECT_LT(t.memory_bytes(), 128u << 10);
}

// -- objects -----------------------------------------------------------------------------

class OapObjRule : public testing::Test {
protected:
  std::array<std::uint8_t, 32> a{1};
  std::array<std::uint8_t, 32> b{2};
};

TEST_F(OapObjRule, UndeclaredHalvesHaveNoObject) {
  obj_rule r;
  EXPECT_EQ(r.on_frame(true, false, nullptr), reason::none);
  EXPECT_EQ(r.on_frame(true, false, a.data()), reason::obj_form);
}

TEST_F(OapObjRule, TheFirstBytesNameTheObject) {
  obj_rule r{true, false};
  EXPECT_EQ(r.on_frame(false, false, nullptr), reason::none);
  EXPECT_EQ(r.on_frame(true, false, nullptr), reason::missing_obj);
  EXPECT_EQ(r.on_frame(true, false, a.data()), reason::none);
  EXPECT_EQ(r.on_frame(true, false, nullptr), reason::none);
  EXPECT_EQ(r.on_frame(true, false, a.data()), reason::none);
  EXPECT_EQ(r.on_frame(true, false, b.data()), reason::obj_form);
}

TEST_F(OapObjRule, TheResultOfAnAnswerComesBeforeIt) {
  obj_rule r{true, true};
  EXPECT_EQ(r.on_frame(true, true, nullptr), reason::none) << "a push is neither";
  EXPECT_EQ(r.on_frame(true, false, nullptr), reason::none);
  EXPECT_EQ(r.on_frame(true, false, nullptr), reason::missing_obj);
  obj_rule direct{true, true};
  EXPECT_EQ(direct.on_frame(true, false, a.data()), reason::none);
  EXPECT_EQ(direct.on_frame(true, false, nullptr), reason::none);
}

// -- rate of STARTs ------------------------------------------------------------------------

TEST(OapStartRate, NoSecondEverSeesMoreThanTheMaximum) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng{seed};
  start_rate r;
  core::instant now{std::chrono::hours{5}};
  std::deque<core::instant> taken;
  std::uint64_t refused_in_vain = 0;
  for (int i = 0; i < 50'000; ++i) {
    now += std::chrono::microseconds{rng() % 20'000};
    std::erase_if(taken, [&](auto t) { return now - t >= std::chrono::seconds{1}; });
    if (r.take(now, 50)) {
      taken.push_back(now);
      ASSERT_LE(taken.size(), 50u);
    } else if (taken.size() < 45) {
      ++refused_in_vain;
    }
  }
  EXPECT_LT(refused_in_vain, 500u) << "a stream counts little longer than a second";
}

TEST(OapStartRate, StandsWhenTheClockStandsOrGoesBack) {
  start_rate r;
  core::instant now{std::chrono::hours{5}};
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(r.take(now, 10));
  EXPECT_FALSE(r.take(now, 10));
  EXPECT_FALSE(r.take(now - std::chrono::hours{1}, 10));
  EXPECT_TRUE(r.take(now + std::chrono::hours{1}, 10));
  EXPECT_EQ(r.in_last_second(), 1u);
}

} // namespace
} // namespace ron::oap::test
