#include "core/ids.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <set>
#include <string>
#include <unordered_set>
#include <vector>

namespace ron::core {
namespace {

const std::string some_hex = "00112233445566778899aabbccddeeff0123456789abcdef0123456789abcdef";

TEST(Cid, TextRoundTrips) {
  auto id = cid::parse("b3:" + some_hex);
  ASSERT_TRUE(id);
  EXPECT_EQ(id->hash[1], 0x11);
  EXPECT_EQ(id->to_text(), "b3:" + some_hex);
  EXPECT_EQ(cid::text_size, id->to_text().size());
}

TEST(Cid, RefusesEveryOtherText) {
  auto upper = some_hex;
  std::ranges::transform(upper, upper.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  for (const auto& bad :
       {std::string{}, some_hex, "B3:" + some_hex, "b3:" + upper, "b3:" + some_hex + "0",
        "b3:" + some_hex.substr(1), "b3:" + some_hex.substr(1) + "g", " b3:" + some_hex.substr(1),
        "b2:" + some_hex, "b3-" + some_hex})
    EXPECT_FALSE(cid::parse(bad)) << bad;
}

TEST(Cid, WorksAsAKey) {
  auto a = *cid::parse("b3:" + some_hex);
  auto b = a;
  b.hash[31] ^= 1;
  std::unordered_set<cid> s{a, b, a};
  EXPECT_EQ(s.size(), 2u);
  EXPECT_LT(cid{}, a);
}

TEST(Tenant, IsHexAndKnowsNobody) {
  EXPECT_TRUE(tenant{}.is_zero());
  auto t = tenant::parse("000102030405060708090a0b0c0d0e0f");
  ASSERT_TRUE(t);
  EXPECT_FALSE(t->is_zero());
  EXPECT_EQ(t->to_text(), "000102030405060708090a0b0c0d0e0f");
  EXPECT_FALSE(tenant::parse("000102030405060708090A0B0C0D0E0F"));
  EXPECT_FALSE(tenant::parse("0001"));
}

TEST(Ulid, TextIsCrockfordsBase32) {
  auto u = ulid::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  ASSERT_TRUE(u);
  EXPECT_EQ(u->to_text(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  EXPECT_EQ(u->time_ms(), 1'469'922'850'259);
  EXPECT_EQ(ulid::parse("01arz3ndektsv4rrffq69g5fav"), u);
  EXPECT_EQ(ulid::parse("7ZZZZZZZZZZZZZZZZZZZZZZZZZ")->value[15], 0xff);
}

TEST(Ulid, RefusesEveryOtherText) {
  for (auto bad : {"", "01ARZ3NDEKTSV4RRFFQ69G5FA", "01ARZ3NDEKTSV4RRFFQ69G5FAVX",
                   "81ARZ3NDEKTSV4RRFFQ69G5FAV", "01ARZ3NDEKTSV4RRFFQ69G5FAI",
                   "01ARZ3NDEKTSV4RRFFQ69G5FAL", "01ARZ3NDEKTSV4RRFFQ69G5FAO",
                   "01ARZ3NDEKTSV4RRFFQ69G5FAU", "01ARZ3NDEKTSV4RRFFQ69G5F-V"})
    EXPECT_FALSE(ulid::parse(bad)) << bad;
  EXPECT_FALSE(ulid::parse(std::string_view{"01ARZ3NDEKTSV4RRFFQ69G5FA\0", 26}));
}

TEST(IdSource, UlidsRiseWhateverTheClockDoes) {
  id_source ids;
  ulid last{};
  std::string last_text;
  for (std::int64_t t : {1'000, 1'000, 1'000, 2'000, 1'500, 2'000, 2'001, -7}) {
    for (int i = 0; i < 100; ++i) {
      auto u = ids.next_ulid(t);
      ASSERT_LT(last, u);
      ASSERT_LT(last_text, u.to_text());
      last = u;
      last_text = u.to_text();
    }
  }
  EXPECT_EQ(last.time_ms(), 2'001);
}

TEST(IdSource, UlidsOfTwoSourcesDiffer) {
  id_source a;
  id_source b;
  EXPECT_NE(a.next_ulid(1'000), b.next_ulid(1'000));
  EXPECT_EQ(a.next_ulid(5'000).time_ms(), 5'000);
}

TEST(CorrId, AcceptsUlidsAndUuidsAsTheyAreWritten) {
  for (auto good : {"01ARZ3NDEKTSV4RRFFQ69G5FAV", "01arz3ndektsv4rrffq69g5fav",
                    "123e4567-e89b-12d3-a456-426614174000",
                    "123E4567-E89B-12D3-A456-426614174000"}) {
    auto c = corr_id::parse(good);
    ASSERT_TRUE(c) << good;
    EXPECT_EQ(c->text(), good);
  }
}

TEST(CorrId, RefusesEverythingElse) {
  for (auto bad : {"", "x", "123e4567e89b12d3a456426614174000",
                   "123e4567-e89b-12d3-a456-42661417400g",
                   "123e4567-e89b-12d3-a456_426614174000", "{23e4567-e89b-12d3-a456-42661417400}",
                   "01ARZ3NDEKTSV4RRFFQ69G5FAV\r", "01ARZ3NDEKTSV4RRFFQ69G5F\r\n"})
    EXPECT_FALSE(corr_id::parse(bad)) << bad;
}

TEST(CorrId, IsEmptyUntilSetAndComparesByText) {
  corr_id none;
  EXPECT_TRUE(none.empty());
  id_source ids;
  auto a = ids.next_corr(1'000);
  EXPECT_EQ(a.text().size(), ulid::text_size);
  EXPECT_EQ(corr_id::parse(a.text()), a);
  EXPECT_FALSE(a == ids.next_corr(1'000));
  EXPECT_EQ(std::hash<corr_id>{}(a), std::hash<corr_id>{}(*corr_id::parse(a.text())));
}

const std::string good_trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContext, TextRoundTrips) {
  auto t = trace_context::parse(good_trace);
  ASSERT_TRUE(t);
  EXPECT_EQ(t->flags, 1);
  EXPECT_EQ(t->to_text(), good_trace);
}

TEST(TraceContext, ReadsWhatItKnowsOfALaterVersion) {
  auto later = "cc" + good_trace.substr(2);
  EXPECT_EQ(trace_context::parse(later)->to_text(), good_trace);
  EXPECT_TRUE(trace_context::parse(later + "-what-comes"));
  EXPECT_FALSE(trace_context::parse(later + "x"));
}

TEST(TraceContext, RefusesEveryOtherText) {
  auto with = [](std::size_t at, std::string_view text) {
    auto s = good_trace;
    return s.replace(at, text.size(), text);
  };
  for (const auto& bad :
       {std::string{}, good_trace.substr(1), good_trace + "-", good_trace + "0", with(0, "ff"),
        with(0, "0G"), with(2, "_"), with(3, "4B"), with(3, std::string(32, '0')),
        with(36, std::string(16, '0')), with(35, "_"), with(52, "_"), with(53, "0x")})
    EXPECT_FALSE(trace_context::parse(bad)) << bad;
}

TEST(IdSource, AChildKeepsTheTraceAndNothingElse) {
  id_source ids;
  auto t = *trace_context::parse(good_trace);
  t.flags = 0xff;
  auto c = ids.child_of(t);
  EXPECT_EQ(c.trace_id, t.trace_id);
  EXPECT_NE(c.parent_id, t.parent_id);
  EXPECT_EQ(c.flags, 1);
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    auto n = ids.new_trace();
    EXPECT_EQ(n.flags, 0);
    EXPECT_TRUE(trace_context::parse(n.to_text()));
    EXPECT_TRUE(seen.insert(n.to_text()).second);
  }
}

TEST(Random, FillsEverySize) {
  std::vector<std::uint8_t> a(1'000);
  auto b = a;
  random_bytes(a);
  random_bytes(b);
  EXPECT_NE(a, b);
  random_bytes({});
}

TEST(EqualSecret, ComparesContents) {
  std::array<std::uint8_t, 4> a{1, 2, 3, 4};
  auto b = a;
  EXPECT_TRUE(equal_secret(a, b));
  for (std::size_t i = 0; i < b.size(); ++i) {
    auto c = a;
    c[i] ^= 0x80;
    EXPECT_FALSE(equal_secret(a, c));
  }
  EXPECT_FALSE(equal_secret(a, byte_view{b}.first(3)));
  EXPECT_TRUE(equal_secret({}, {}));
}

} // namespace
} // namespace ron::core
