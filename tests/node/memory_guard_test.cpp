#include "node/memory_guard.hpp"

#include <gtest/gtest.h>

#include <utility>

namespace {

using namespace ron::node;
using enum memory_level;

TEST(MemoryGuard, StepsUpAtOnceAndComesBackSlowly) {
  memory_guard guard;
  const std::pair<std::uint64_t, memory_level> steps[] = {
    {0, calm},           {799, calm},        {800, caches_shrink}, {899, caches_shrink},
    {900, writes_shed},  {2'000, writes_shed}, {850, writes_shed}, {849, caches_shrink},
    {880, caches_shrink}, {700, caches_shrink}, {699, calm},       {799, calm},
    {950, writes_shed},  {100, calm}};
  for (const auto& [used, level] : steps)
    EXPECT_EQ(guard.look(used, 1'000), level) << used;
}

TEST(MemoryGuard, LargeNumbersDoNotWrap) {
  memory_guard guard;
  const auto max = std::uint64_t{16} << 40;
  EXPECT_EQ(guard.look(max / 2, max), calm);
  EXPECT_EQ(guard.look(max, max), writes_shed);
}

} // namespace
