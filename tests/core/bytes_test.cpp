#include "core/bytes.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

namespace ron::core {
namespace {

bytes filled(slab& s, std::string_view text) {
  auto room = s.room();
  std::memcpy(room.data(), text.data(), text.size());
  auto start = s.filled();
  s.commit(text.size());
  return s.cut(start, text.size());
}

TEST(Bytes, StartEmpty) {
  bytes b;
  EXPECT_TRUE(b.empty());
  EXPECT_EQ(b.text(), "");
  EXPECT_EQ(b, bytes::copy(std::string_view{}));
  EXPECT_TRUE(b.slice(3, 4).empty());
}

TEST(Bytes, CopyIsItsOwn) {
  std::string source = "hello";
  auto b = bytes::copy(source);
  source[0] = 'j';
  EXPECT_EQ(b.text(), "hello");
}

TEST(Bytes, SlicesShareTheBlock) {
  auto b = bytes::copy("hello world");
  auto s = b.slice(6);
  EXPECT_EQ(s.data(), b.data() + 6);
  EXPECT_EQ(s.text(), "world");
}

TEST(Bytes, TheLastSliceKeepsTheBytes) {
  bytes s;
  {
    auto b = bytes::copy("hello world");
    s = b.slice(0, 5).slice(1, 3);
  }
  EXPECT_EQ(s.text(), "ell"); // a use after free if the block had gone
}

TEST(Bytes, SlicesAreClipped) {
  auto b = bytes::copy("abc");
  EXPECT_EQ(b.slice(1, 100).text(), "bc");
  EXPECT_EQ(b.slice(3).text(), "");
  EXPECT_EQ(b.slice(99, 99).text(), "");
  EXPECT_EQ(b.slice(2, 0).text(), "");
}

TEST(Bytes, AnEmptySliceHoldsNoBlock) {
  slab s{8};
  filled(s, "abcd");
  auto empty = s.cut(2, 0);
  auto also_empty = bytes::copy("x").slice(1);
  EXPECT_TRUE(s.unshared());
  EXPECT_TRUE(empty.empty() && also_empty.empty());
}

TEST(Bytes, CopiesMovesAndSelfAssignment) {
  auto a = bytes::copy("one");
  auto b = a;
  auto c = std::move(a);
  EXPECT_TRUE(a.empty()); // NOLINT: moved from is empty by contract
  EXPECT_EQ(b, c);
  auto& same = b;
  b = same;
  EXPECT_EQ(b.text(), "one");
  b = bytes::copy("two");
  EXPECT_EQ(b.text(), "two");
  EXPECT_EQ(c.text(), "one");
}

TEST(Bytes, EqualityIsOfContents) {
  EXPECT_EQ(bytes::copy("abc"), bytes::literal("abc"));
  EXPECT_FALSE(bytes::copy("abc") == bytes::copy("abd"));
  EXPECT_FALSE(bytes::copy("abc") == bytes::copy("ab"));
}

TEST(Bytes, MayDieOnOtherThreads) {
  auto b = bytes::copy(std::string(4096, 'x'));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([mine = b] {
      for (std::size_t i = 0; i < 10'000; ++i) {
        auto s = mine.slice(i % 4096, 16);
        auto copy = s;
        ASSERT_EQ(copy, s);
      }
    });
  b = {};
  for (auto& t : threads)
    t.join();
}

TEST(Slab, CutsSharedSlicesOfWhatIsFilled) {
  slab s{16};
  auto a = filled(s, "head");
  auto b = filled(s, "body");
  EXPECT_EQ(s.filled(), 8u);
  EXPECT_EQ(s.room().size(), 8u);
  EXPECT_EQ(a.data() + 4, b.data());
  EXPECT_EQ(s.cut(2, 4).text(), "adbo");
}

TEST(Slab, NeverReachesBeyondWhatIsFilled) {
  slab s{8};
  filled(s, "abc");
  EXPECT_EQ(s.cut(1, 100).text(), "bc");
  EXPECT_EQ(s.cut(9, 1).text(), "");
  s.commit(100);
  EXPECT_EQ(s.filled(), 8u);
  EXPECT_TRUE(s.room().empty());
}

TEST(Slab, IsNotRewoundWhileASliceLives) {
  slab s{8};
  auto a = filled(s, "abc");
  EXPECT_FALSE(s.unshared());
  EXPECT_FALSE(s.rewind());
  EXPECT_EQ(s.filled(), 3u);
  auto b = filled(s, "de"); // goes behind, not over
  EXPECT_EQ(a.text(), "abc");
  a = {};
  EXPECT_FALSE(s.rewind());
  b = {};
  EXPECT_TRUE(s.unshared());
  EXPECT_TRUE(s.rewind());
  EXPECT_EQ(s.room().size(), 8u);
}

TEST(Slab, AReplacedSlabLeavesItsSlicesAlone) {
  slab s{8};
  auto a = filled(s, "abcdefgh");
  s = slab{8};
  filled(s, "12345678");
  EXPECT_EQ(a.text(), "abcdefgh");
}

TEST(Slab, WithoutABlockHasNoRoom) {
  slab s;
  EXPECT_EQ(s.capacity(), 0u);
  EXPECT_TRUE(s.room().empty());
  EXPECT_TRUE(s.view().empty());
  EXPECT_TRUE(s.cut(0, 1).empty());
  EXPECT_FALSE(s.unshared());
  EXPECT_FALSE(s.rewind());
  slab moved = std::move(s);
  EXPECT_EQ(moved.capacity(), 0u);
}

TEST(Hex, RoundTripsEveryByte) {
  std::array<std::uint8_t, 256> all{};
  for (std::size_t i = 0; i < all.size(); ++i)
    all[i] = static_cast<std::uint8_t>(i);
  auto text = to_hex(all);
  std::array<std::uint8_t, 256> back{};
  EXPECT_TRUE(from_hex(text, back));
  EXPECT_EQ(all, back);
  EXPECT_EQ(text.substr(0, 8), "00010203");
}

TEST(Hex, RefusesOtherTexts) {
  std::array<std::uint8_t, 2> out{};
  EXPECT_TRUE(from_hex("aBcD", out));
  EXPECT_EQ(out[0], 0xab);
  for (auto bad : {"", "abc", "abcde", "abcdef", "ab g", "0x12", "zz00", "ab\xff" "0"})
    EXPECT_FALSE(from_hex(bad, out)) << bad;
}

} // namespace
} // namespace ron::core
