#include "transport/http/conditional.hpp"

#include "core/json.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace {

using namespace ron;
using namespace ron::http;
using transport::range_request;

range_request from(std::uint64_t first, std::optional<std::uint64_t> last = {}) {
  return {.first = first, .last = last, .suffix = {}};
}
range_request suffix(std::uint64_t n) {
  return {.first = {}, .last = {}, .suffix = n};
}

TEST(HttpConditional, TheTagOfAnObjectIsItsIdInQuotes) {
  core::cid id{};
  EXPECT_EQ(etag_of(id), "\"b3:" + std::string(64, '0') + "\"");
}

TEST(HttpConditional, IfNoneMatchIsAListComparedWeakly) {
  constexpr auto tag = "\"b3:aa\"";
  for (auto text : {"*", "\"b3:aa\"", "W/\"b3:aa\"", "\"x\", \"b3:aa\"", "\"x\",W/\"b3:aa\" ",
                    " \"b3:aa\"", "\"x\",,\"b3:aa\"", "\"a,b\",\"b3:aa\""})
    EXPECT_TRUE(none_match_hits(text, tag)) << text;
  for (auto text : {"", "b3:aa", "\"b3:ab\"", "\"b3:aa", "'b3:aa'", "\"x\" \"b3:aa\"", "*, \"x\"",
                    "w/\"b3:aa\"", "\"b3:AA\""})
    EXPECT_FALSE(none_match_hits(text, tag)) << text;
}

TEST(HttpConditional, IfRangeIsStrong) {
  EXPECT_TRUE(if_range_holds("", "\"a\""));
  EXPECT_TRUE(if_range_holds("\"a\"", "\"a\""));
  EXPECT_FALSE(if_range_holds("W/\"a\"", "\"a\""));
  EXPECT_FALSE(if_range_holds("\"b\"", "\"a\""));
  EXPECT_FALSE(if_range_holds("Sun, 06 Nov 1994 08:49:37 GMT", "\"a\""));
}

TEST(HttpConditional, ReadsOneRange) {
  EXPECT_EQ(parse_range("bytes=0-0"), from(0, 0));
  EXPECT_EQ(parse_range("bytes=5-"), from(5));
  EXPECT_EQ(parse_range("bytes=-5"), suffix(5));
  EXPECT_EQ(parse_range("Bytes=1-2"), from(1, 2));
  EXPECT_EQ(parse_range("bytes=-0"), suffix(0));
  EXPECT_EQ(parse_range("bytes=0-99999999999999999999999"),
            from(0, std::numeric_limits<std::uint64_t>::max()));
}

TEST(HttpConditional, IgnoresEverythingElse) {
  for (auto text : {"", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=5-4", "bytes=0-1,3-4",
                    "bytes=0-1,", "items=0-1", "bytes 0-1", "bytes=0-1-2", "bytes=+1-2",
                    "bytes= 0-1", "bytes=0 -1", "bytes=--1", "bytes=0x0-1", "bytes:0-1"})
    EXPECT_FALSE(parse_range(text)) << text;
}

TEST(HttpConditional, SelectsWhatExists) {
  core::cid id{};
  transport::call c;
  auto pick = [&](std::optional<range_request> r, std::uint64_t size) {
    c.range = r;
    return select_span(c, id, size);
  };
  using span = span_of_object;
  EXPECT_EQ(*pick({}, 10), (span{0, 10, false}));
  EXPECT_EQ(*pick({}, 0), (span{0, 0, false}));
  EXPECT_EQ(*pick(from(2, 4), 10), (span{2, 3, true}));
  EXPECT_EQ(*pick(from(2), 10), (span{2, 8, true}));
  EXPECT_EQ(*pick(from(0, std::numeric_limits<std::uint64_t>::max()), 10), (span{0, 10, true}));
  EXPECT_EQ(*pick(from(9, 9), 10), (span{9, 1, true}));
  EXPECT_EQ(*pick(suffix(3), 10), (span{7, 3, true}));
  EXPECT_EQ(*pick(suffix(99), 10), (span{0, 10, true}));
  EXPECT_EQ(pick(from(10), 10).error().code, core::ec::range_not_satisfiable);
  EXPECT_EQ(pick(suffix(0), 10).error().code, core::ec::range_not_satisfiable);
  EXPECT_EQ(pick(from(0, 0), 0).error().code, core::ec::range_not_satisfiable);
  EXPECT_EQ(pick(suffix(5), 0).error().code, core::ec::range_not_satisfiable);
  c.if_range = "\"other\"";
  EXPECT_EQ(*pick(from(10), 10), (span{0, 10, false})) << "a range of another version is ignored";
  c.if_range = etag_of(id);
  EXPECT_EQ(*pick(from(2, 4), 10), (span{2, 3, true}));
}

TEST(HttpConditional, UnsatisfiableSaysTheLength) {
  auto a = unsatisfiable_range(42);
  EXPECT_EQ(a.status, 416);
  ASSERT_EQ(a.headers.size(), 1u);
  EXPECT_EQ(a.headers[0].name, "Content-Range");
  EXPECT_EQ(a.headers[0].value, "bytes */42");
  EXPECT_EQ(content_range(2, 3, 10), "bytes 2-4/10");
}

} // namespace
