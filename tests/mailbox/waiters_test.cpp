#include "mailbox/waiters.hpp"

#include <gtest/gtest.h>

namespace {

using ron::core::instant;
using ron::mailbox::waiter_list;
using namespace std::chrono_literals;

instant at(std::chrono::milliseconds t) {
  return instant{t};
}

TEST(Waiters, FirstComeFirstServedWithinATopic) {
  waiter_list<int> w{10};
  EXPECT_TRUE(w.add("a", at(5s), 1));
  EXPECT_TRUE(w.add("a", at(1s), 2));
  EXPECT_TRUE(w.add("b", at(9s), 3));
  EXPECT_EQ(*w.front("a"), 1);
  w.pop("a");
  EXPECT_EQ(*w.front("a"), 2);
  w.pop("a");
  EXPECT_EQ(w.front("a"), nullptr);
  EXPECT_EQ(w.topics(), std::vector<std::string>{"b"});
}

TEST(Waiters, PatienceEndsInOrderOfTime) {
  waiter_list<int> w{10};
  w.add("a", at(5s), 1);
  w.add("a", at(1s), 2);
  EXPECT_EQ(w.next_end(), at(1s));
  EXPECT_FALSE(w.take_expired(at(999ms)));
  EXPECT_EQ(w.take_expired(at(1s)), 2);
  EXPECT_EQ(*w.front("a"), 1);
  EXPECT_EQ(w.take_expired(at(5s)), 1);
  EXPECT_EQ(w.size(), 0u);
  EXPECT_FALSE(w.next_end());
}

TEST(Waiters, TheBoundRefuses) {
  waiter_list<int> w{2};
  EXPECT_TRUE(w.add("a", at(1s), 1));
  EXPECT_TRUE(w.add("b", at(1s), 2));
  EXPECT_FALSE(w.add("c", at(1s), 3));
  EXPECT_EQ(w.front("c"), nullptr);
  w.pop("a");
  EXPECT_TRUE(w.add("c", at(1s), 3));
}

} // namespace
