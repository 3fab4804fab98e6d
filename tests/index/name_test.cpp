#include "index/name.hpp"

#include <gtest/gtest.h>

#include <random>

namespace {

using ron::index::check_prefix;
using ron::index::name;

std::string canonical(std::string_view text) {
  auto n = name::parse(text);
  return n ? n->text() : "refused";
}

TEST(Name, KeepsWhatIsCanonical) {
  EXPECT_EQ(canonical("alice/photos"), "alice/photos");
  EXPECT_EQ(canonical("alice"), "alice");
  EXPECT_EQ(canonical("example.org/a/b/C.txt"), "example.org/a/b/C.txt");
  EXPECT_EQ(name::parse("alice/photos/1.jpg")->first(), "alice");
}

TEST(Name, MapsTheFirstPartAndOnlyTheFirstPart) {
  EXPECT_EQ(canonical("Alice/Photos"), "alice/Photos");
  EXPECT_EQ(canonical("b\u00fccher.example/B\u00fccher"), "xn--bcher-kva.example/B\u00fccher");
  EXPECT_EQ(canonical("B\u00dcCHER.example"), "xn--bcher-kva.example");
}

TEST(Name, RefusesIllegalNames) {
  EXPECT_EQ(canonical(""), "refused");
  EXPECT_EQ(canonical("/x"), "refused");
  EXPECT_EQ(canonical("a//b"), "refused");
  EXPECT_EQ(canonical("a/b/"), "refused");
  EXPECT_EQ(canonical("a/./b"), "refused");
  EXPECT_EQ(canonical("a/../b"), "refused");
  EXPECT_EQ(canonical("a/b\nc"), "refused");
  EXPECT_EQ(canonical(std::string_view{"a/b\0c", 5}), "refused");
  EXPECT_EQ(canonical("a/b\xff"), "refused") << "not UTF-8";
  EXPECT_EQ(canonical("a/e\u0301"), "refused") << "NFD";
  EXPECT_EQ(canonical("a/\u00e9"), "a/\u00e9") << "NFC of the same";
  EXPECT_EQ(canonical("a/\u202eevil"), "refused") << "bidi control";
  EXPECT_EQ(canonical("a/\u0378"), "refused") << "unassigned";
  EXPECT_EQ(canonical("-a/b"), "refused");
  EXPECT_EQ(canonical("a_b/c"), "refused") << "STD3";
}

TEST(Name, IsAtMost255Bytes) {
  EXPECT_EQ(canonical("a/" + std::string(253, 'x')).size(), 255u);
  EXPECT_EQ(canonical("a/" + std::string(254, 'x')), "refused");
  EXPECT_EQ(canonical(std::string(100'000, 'x')), "refused");
}

TEST(Name, ParsingIsIdempotent) {
  std::mt19937_64 random{20261121};
  const std::string alphabet[] = {"a", "B", "/", ".", "-", "\u00fc", "\u0301", "\xff", " ", "1"};
  for (int i = 0; i < 50'000; ++i) {
    std::string text;
    for (auto n = random() % 12; n > 0; --n)
      text += alphabet[random() % std::size(alphabet)];
    if (auto n = name::parse(text)) {
      auto again = name::parse(n->text());
      ASSERT_TRUE(again) << n->text();
      EXPECT_EQ(again->text(), n->text());
    }
  }
}

TEST(Name, PrefixMayEndAnywhere) {
  EXPECT_EQ(*check_prefix(""), "");
  EXPECT_EQ(*check_prefix("ali"), "ali");
  EXPECT_EQ(*check_prefix("Alice/ph"), "alice/ph");
  EXPECT_FALSE(check_prefix("a/\n"));
}

} // namespace
