#include "core/chunk_pool.hpp"

#include "core/bytes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

namespace ron::core {
namespace {

using chunk_pool::piece_bytes;

/// Enough for more regions than are kept.
constexpr std::size_t many = 28 * (chunk_pool::spare_regions_max + 3);

std::vector<void*> take(std::size_t n) {
  std::vector<void*> out(n);
  std::ranges::generate(out, chunk_pool::take);
  return out;
}

void give_back(const std::vector<void*>& pieces) {
  std::ranges::for_each(pieces, chunk_pool::give_back);
}

TEST(ChunkPool, ServesChunksAndTheirRecordsOnly) {
  EXPECT_FALSE(chunk_pool::serves(1'024));
  EXPECT_FALSE(chunk_pool::serves(piece_bytes + 1));
  EXPECT_EQ(chunk_pool::serves(65'536 + sizeof(block)), chunk_pool::in_use);
  EXPECT_EQ(chunk_pool::serves(65'536 + 1'024 + 5 * 22 + sizeof(block)), chunk_pool::in_use);
}

TEST(ChunkPool, PiecesDoNotOverlap) {
  auto pieces = take(many);
  for (std::size_t i = 0; i < many; ++i) {
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(pieces[i]) % 64, 0u);
    std::memset(pieces[i], static_cast<int>(i % 251), piece_bytes);
  }
  for (std::size_t i = 0; i < many; ++i) {
    const auto* p = static_cast<const std::uint8_t*>(pieces[i]);
    EXPECT_TRUE(std::all_of(p, p + piece_bytes, [i](auto x) { return x == i % 251; })) << i;
  }
  give_back(pieces);
}

TEST(ChunkPool, WhatWasUsedLastIsUsedNext) {
  auto pieces = take(many);
  chunk_pool::give_back(pieces[3]);
  chunk_pool::give_back(pieces[many - 2]);
  EXPECT_EQ(chunk_pool::take(), pieces[many - 2]);
  EXPECT_EQ(chunk_pool::take(), pieces[3]);
  give_back(pieces);
}

TEST(ChunkPool, KeepsNoMoreRegionsThanItMay) {
  const auto before = chunk_pool::stats();
  auto pieces = take(many);
  EXPECT_EQ(chunk_pool::stats().pieces, before.pieces + many);
  std::ranges::shuffle(pieces, std::mt19937{7});
  give_back(pieces);
  const auto after = chunk_pool::stats();
  EXPECT_EQ(after.pieces, before.pieces);
  EXPECT_EQ(after.spare_regions, chunk_pool::spare_regions_max);
  EXPECT_LE(after.regions, before.regions + chunk_pool::spare_regions_max);
  give_back(take(many)); // and grows again
  EXPECT_EQ(chunk_pool::stats().regions, after.regions);
}

TEST(ChunkPool, ManyThreadsTakeAndGiveBack) {
  const auto before = chunk_pool::stats().pieces;
  std::vector<std::thread> threads;
  for (unsigned seed = 0; seed < 4; ++seed)
    threads.emplace_back([seed] {
      std::mt19937 rng{seed};
      std::vector<void*> mine;
      for (int i = 0; i < 20'000; ++i)
        if (mine.empty() || (mine.size() < 100 && rng() % 2 == 0)) {
          mine.push_back(chunk_pool::take());
          *static_cast<unsigned*>(mine.back()) = seed;
        } else {
          std::swap(mine[rng() % mine.size()], mine.back());
          EXPECT_EQ(*static_cast<unsigned*>(mine.back()), seed);
          chunk_pool::give_back(mine.back());
          mine.pop_back();
        }
      give_back(mine);
    });
  for (auto& t : threads)
    t.join();
  EXPECT_EQ(chunk_pool::stats().pieces, before);
}

TEST(ChunkPool, BlocksOfAChunkLiveHere) {
  const auto before = chunk_pool::stats().pieces;
  const auto pooled = chunk_pool::in_use ? 1u : 0u;
  {
    slab s{65'536};
    EXPECT_EQ(chunk_pool::stats().pieces, before + pooled);
    s.commit(10);
    auto last = s.cut(0, 10);
    s = slab{};
    EXPECT_EQ(chunk_pool::stats().pieces, before + pooled) << "a slice keeps it";
  }
  EXPECT_EQ(chunk_pool::stats().pieces, before);
}

} // namespace
} // namespace ron::core
