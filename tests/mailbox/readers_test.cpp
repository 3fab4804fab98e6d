#include "mailbox/readers.hpp"

#include "mailbox/partition.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <set>

namespace {

using namespace ron::mailbox;
using namespace std::chrono_literals;
using ron::core::bytes;
using ron::core::instant;
using strings = std::vector<std::string>;

instant at(std::chrono::milliseconds t) {
  return instant{t};
}

TEST(Readers, HoldNoMoreThanTheyMay) {
  reader_book book{10};
  ASSERT_TRUE(book.enter(1, 2));
  EXPECT_EQ(book.room(1, at(0s)), 2u);
  book.took(1, "a", at(5s));
  book.took(1, "b", at(6s));
  EXPECT_EQ(book.room(1, at(0s)), 0u);
  EXPECT_EQ(book.room_at(1), at(5s));
  book.settled("b");
  book.settled("nobody's");
  EXPECT_EQ(book.room(1, at(0s)), 1u);
  EXPECT_EQ(book.room(1, at(5s)), 2u) << "its visibility period is over";
  EXPECT_EQ(book.held(), 0u);
  EXPECT_FALSE(book.room_at(1));
}

TEST(Readers, WhoLeavesGivesBackWhatIsNotSettled) {
  reader_book book{10};
  book.enter(1, 5);
  book.enter(2, 5);
  for (const auto* r : {"a", "b", "c"})
    book.took(1, r, at(5s));
  book.took(2, "d", at(5s));
  book.settled("b");
  EXPECT_EQ(book.leave(1), (strings{"a", "c"}));
  EXPECT_TRUE(book.has_left(1));
  EXPECT_FALSE(book.has_left(2));
  EXPECT_EQ(book.leave(1), strings{}) << "twice does no harm";
  EXPECT_EQ(book.leave(99), strings{});
  book.settled("a");
  EXPECT_EQ(book.held(), 1u);
  EXPECT_EQ(book.size(), 1u);
}

TEST(Readers, Bounds) {
  reader_book book{2};
  EXPECT_TRUE(book.enter(1, 1));
  EXPECT_TRUE(book.enter(2, 1));
  EXPECT_FALSE(book.enter(3, 1));
  EXPECT_TRUE(book.enter(1, 1)) << "it is there";
  book.leave(1);
  EXPECT_TRUE(book.enter(3, 1));
  for (reader_id r = 100; r < 100 + reader_book::left_max; ++r)
    book.leave(r);
  EXPECT_FALSE(book.has_left(1)) << "remembered for a while";
  EXPECT_TRUE(book.has_left(100));
}

/// One topic with readers that come, receive, settle and vanish at random.
struct Simulation {
  explicit Simulation(std::uint64_t seed) : dice(seed) {
    limits.attempts_max = 4;
    box.emplace(limits, partition_sources{[this] { return dice(); },
                                          [this](std::int64_t) { return id_of(++ids); },
                                          [this](std::size_t n) { return (seq += n) - n + 1; },
                                          {}});
  }
  static std::string id_of(int n) {
    auto digits = std::to_string(n);
    return "m" + std::string(8 - digits.size(), '0') + digits;
  }
  std::uint64_t roll(std::uint64_t n) { return dice() % n; }

  void send() {
    outgoing m;
    m.topic = "t";
    m.payload = bytes::copy(std::string_view{"x"});
    if (roll(3) == 0)
      m.key = "k" + std::to_string(roll(3));
    auto a = box->send(std::move(m), now, 0);
    ASSERT_TRUE(a);
    alive.insert(a->answer.message_id);
  }
  void receive() {
    const auto who = 1 + roll(5);
    const auto most = 1 + who; // each reader may hold another number
    if (left.contains(who) || !readers.enter(who, most))
      return;
    const auto room = readers.room(who, now);
    ASSERT_LE(room, most);
    if (room == 0)
      return;
    for (auto& d : box->receive("t", {std::min<std::size_t>(room, 1 + roll(4))}, 5s, now)) {
      ASSERT_TRUE(alive.contains(d.message_id)) << "acknowledged mail came again";
      auto& until = hidden[d.message_id];
      ASSERT_LE(until, now) << "delivered to two at a time";
      ASSERT_LE(d.attempt, limits.attempts_max);
      until = now + 5s;
      readers.took(who, d.receipt, until);
      held[who].emplace_back(d.message_id, d.receipt);
    }
  }
  void settle() {
    const auto who = 1 + roll(5);
    auto& mine = held[who];
    if (mine.empty())
      return;
    const auto i = roll(mine.size());
    const auto [id, receipt] = mine[i];
    mine.erase(mine.begin() + static_cast<std::ptrdiff_t>(i));
    readers.settled(receipt);
    const bool ack = roll(4) != 0;
    const auto how = ack ? box->ack("t", {receipt}, now) : box->nack("t", {receipt}, now);
    if (how[0] == receipt_status::ok) {
      hidden[id] = now;
      if (ack)
        alive.erase(id);
    }
  }
  void vanish() {
    const auto who = 1 + roll(5);
    const auto back = readers.leave(who);
    for (const auto& [id, receipt] : held[who])
      if (std::ranges::find(back, receipt) != back.end())
        hidden[id] = now;
    box->give_back("t", back, now);
    held[who].clear();
    left.insert(who);
    if (left.size() == 5)
      left.clear(), readers = reader_book{10}, held.clear(); // the replica began anew
  }

  partition_limits limits;
  std::mt19937_64 dice;
  std::optional<partition> box;
  reader_book readers{10};
  instant now{1h};
  int ids = 0;
  std::uint64_t seq = 0;
  std::set<std::string> alive; ///< sent and not acknowledged
  std::map<std::string, instant> hidden;
  std::map<reader_id, std::vector<std::pair<std::string, std::string>>> held;
  std::set<reader_id> left;
};

/// Whatever readers do, every message is delivered until it is acknowledged or dead.
TEST(ReadersSimulation, NothingIsLostAndNothingIsWithTwoAtATime) {
  std::random_device entropy;
  const auto* given = std::getenv("RON_SEED");
  const std::uint64_t first = given ? std::strtoull(given, nullptr, 10) : entropy();
  const int runs = given ? 1 : std::getenv("TEST_FULL") ? 5'000 : 200;
  for (int run = 0; run < runs; ++run) {
    const auto seed = first + static_cast<std::uint64_t>(run);
    SCOPED_TRACE("RON_SEED=" + std::to_string(seed));
    Simulation s{seed};
    for (int step = 0; step < 400 && !testing::Test::HasFailure(); ++step) {
      switch (s.roll(8)) {
        case 0:
        case 1: s.send(); break;
        case 2:
        case 3: s.receive(); break;
        case 4:
        case 5: s.settle(); break;
        case 6: s.roll(4) == 0 ? s.vanish() : s.receive(); break;
        default: s.now += std::chrono::milliseconds{s.roll(2'000)};
      }
    }
    // A reader that stays gets everything that is left, but for the dead.
    std::set<std::string> rest;
    for (int turn = 0; turn < 2'000 && !testing::Test::HasFailure(); ++turn) {
      s.now += 100ms;
      for (auto& d : s.box->receive("t", {10}, 5s, s.now)) {
        rest.insert(d.message_id);
        EXPECT_EQ(s.box->ack("t", {d.receipt}, s.now), std::vector{receipt_status::ok});
      }
    }
    for (auto& h : s.box->dead_letters("t", 10'000, s.now))
      rest.insert(h.message_id);
    EXPECT_EQ(rest, s.alive);
    if (testing::Test::HasFailure())
      return;
  }
}

} // namespace
