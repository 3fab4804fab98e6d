#include "core/actor/waiter_line.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

using namespace std::chrono_literals;
using ron::core::instant;
using ron::core::waiter_line;

TEST(WaiterLine, IsFirstInFirstOut) {
  waiter_line<std::string> line{3};
  EXPECT_FALSE(line.front_ticket());
  EXPECT_TRUE(line.push(5, instant{1s}, "a"));
  EXPECT_TRUE(line.push(9, instant{1s}, "b"));
  EXPECT_EQ(line.front_ticket(), 5u);
  EXPECT_EQ(line.pop(), "a");
  EXPECT_EQ(line.front_ticket(), 9u);
  EXPECT_EQ(line.pop(), "b");
  EXPECT_TRUE(line.empty());
}

TEST(WaiterLine, RefusesBeyondItsBoundAndLeavesTheWaiterAlone) {
  waiter_line<std::unique_ptr<int>> line{2};
  EXPECT_TRUE(line.push(1, instant{1s}, std::make_unique<int>(1)));
  EXPECT_TRUE(line.push(2, instant{1s}, std::make_unique<int>(2)));
  EXPECT_TRUE(line.full());
  auto third = std::make_unique<int>(3);
  EXPECT_FALSE(line.push(3, instant{1s}, std::move(third)));
  EXPECT_TRUE(third);
  EXPECT_EQ(line.size(), 2u);
}

TEST(WaiterLine, TakesTheExpiredFromAnyPlaceInOrder) {
  waiter_line<int> line{4};
  line.push(1, instant{4s}, 1);
  line.push(2, instant{2s}, 2);
  line.push(3, instant{9s}, 3);
  line.push(4, instant{3s}, 4);
  EXPECT_EQ(line.next_deadline(), instant{2s});
  EXPECT_EQ(line.take_expired(instant{1s}), std::vector<int>{});
  EXPECT_EQ(line.take_expired(instant{3s}), (std::vector<int>{2, 4}));
  EXPECT_EQ(line.next_deadline(), instant{4s});
  EXPECT_EQ(line.take_expired(instant::max()), (std::vector<int>{1, 3}));
  EXPECT_FALSE(line.next_deadline());
}
