#include "mailbox/waiters.hpp"

#include <gtest/gtest.h>

namespace {

using ron::core::instant;
using ron::mailbox::turn;
using ron::mailbox::waiter_list;
using namespace std::chrono_literals;

instant at(std::chrono::milliseconds t) {
  return instant{t};
}

/// The caller whose turn it is, taken out; 0 if nobody waits.
int next(waiter_list<int>& w, const std::string& topic) {
  int found = 0;
  w.serve(topic, [&found](int who) {
    if (found != 0)
      return turn::stop;
    found = who;
    return turn::served;
  });
  return found;
}

TEST(Waiters, FirstComeFirstServedWithinATopic) {
  waiter_list<int> w{10};
  EXPECT_TRUE(w.add("a", at(5s), 1));
  EXPECT_TRUE(w.add("a", at(1s), 2));
  EXPECT_TRUE(w.add("b", at(9s), 3));
  EXPECT_EQ(next(w, "a"), 1);
  EXPECT_EQ(next(w, "a"), 2);
  EXPECT_EQ(next(w, "a"), 0);
  EXPECT_EQ(w.topics(), std::vector<std::string>{"b"});
}

TEST(Waiters, WhoCannotBeServedKeepsItsPlace) {
  waiter_list<int> w{10};
  for (int i = 1; i <= 3; ++i)
    w.add("a", at(1s * i), i);
  w.serve("a", [](int who) { return who == 2 ? turn::served : turn::passed; });
  EXPECT_EQ(w.size(), 2u);
  EXPECT_EQ(w.take_expired(at(1s)), 1);
  EXPECT_FALSE(w.take_expired(at(2s)));
  EXPECT_EQ(next(w, "a"), 3);
}

TEST(Waiters, PatienceEndsInOrderOfTime) {
  waiter_list<int> w{10};
  w.add("a", at(5s), 1);
  w.add("a", at(1s), 2);
  EXPECT_EQ(w.next_end(), at(1s));
  EXPECT_FALSE(w.take_expired(at(999ms)));
  EXPECT_EQ(w.take_expired(at(1s)), 2);
  EXPECT_EQ(w.take_expired(at(5s)), 1);
  EXPECT_EQ(w.size(), 0u);
  EXPECT_FALSE(w.next_end());
}

TEST(Waiters, TheBoundRefuses) {
  waiter_list<int> w{2};
  EXPECT_TRUE(w.add("a", at(1s), 1));
  EXPECT_TRUE(w.add("b", at(1s), 2));
  EXPECT_FALSE(w.add("c", at(1s), 3));
  EXPECT_EQ(next(w, "c"), 0);
  EXPECT_EQ(next(w, "a"), 1);
  EXPECT_TRUE(w.add("c", at(1s), 3));
}

TEST(Waiters, AnotherBoundHoldsFromThenOn) {
  const ron::core::knob<std::size_t> most = 1;
  waiter_list<int> w{most};
  EXPECT_TRUE(w.add("a", at(1s), 1));
  EXPECT_FALSE(w.add("a", at(1s), 2));
  most.set(2);
  EXPECT_TRUE(w.add("a", at(1s), 2));
  most.set(0);
  EXPECT_EQ(w.size(), 2u) << "whoever waits stays";
  EXPECT_EQ(next(w, "a"), 1);
  EXPECT_FALSE(w.add("a", at(1s), 3));
}

} // namespace
