#include "core/actor/run_queue.hpp"

#include <gtest/gtest.h>

#include <cstdint>

using ron::core::run_queue;

namespace {

// The queue never looks behind a pointer: any number will do.
caf::resumable* item(std::uintptr_t n) {
  return reinterpret_cast<caf::resumable*>(n);
}

} // namespace

TEST(RunQueue, GivesBackInOrder) {
  run_queue q;
  EXPECT_TRUE(q.empty());
  for (std::uintptr_t i = 1; i <= 3; ++i)
    q.push(item(i));
  EXPECT_EQ(q.size(), 3u);
  for (std::uintptr_t i = 1; i <= 3; ++i)
    EXPECT_EQ(q.pop(), item(i));
  EXPECT_TRUE(q.empty());
}

TEST(RunQueue, KeepsOrderWhenItGrowsInTheMiddleOfTheRing) {
  run_queue q;
  std::uintptr_t in = 1;
  std::uintptr_t out = 1;
  for (int i = 0; i < 200; ++i)
    q.push(item(in++));
  for (int i = 0; i < 150; ++i)
    EXPECT_EQ(q.pop(), item(out++));
  for (int i = 0; i < 5'000; ++i) // wraps, then grows several times
    q.push(item(in++));
  while (!q.empty())
    EXPECT_EQ(q.pop(), item(out++));
  EXPECT_EQ(out, in);
}
