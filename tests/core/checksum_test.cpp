#include "core/checksum.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string_view>
#include <vector>

namespace ron::core {
namespace {

byte_view view(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

std::uint64_t sum(byte_view v) {
  return checksum(std::span{&v, 1});
}

TEST(Checksum, IsXxh64) { // values that implementations of it agree on
  EXPECT_EQ(checksum({}), 0xef46db3751d8e999);
  EXPECT_EQ(sum(view("a")), 0xd24ec4f1a98c6e5b);
  EXPECT_EQ(sum(view("asdf")), 0x415872f599cea71e);
  EXPECT_EQ(sum(view("Call me Ishmael. Some years ago--never mind how long precisely-")),
            0x02a2e85470d6fd96);
}

TEST(Checksum, DoesNotDependOnThePieces) {
  const auto all = view("The quick brown fox jumps over the lazy dog, and then back again");
  for (std::size_t a = 0; a <= all.size(); ++a)
    for (std::size_t b = a; b <= all.size(); ++b) {
      const std::array pieces{all.first(a), all.subspan(a, b - a), all.subspan(b)};
      ASSERT_EQ(checksum(pieces), sum(all)) << a << " " << b;
    }
}

TEST(Checksum, NoticesEachFlippedBit) {
  std::vector<std::uint8_t> v(300, 0x5a);
  const auto before = sum(v);
  for (std::size_t bit = 0; bit < 8 * v.size(); ++bit) {
    v[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    ASSERT_NE(sum(v), before) << bit;
    v[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
}

} // namespace
} // namespace ron::core
