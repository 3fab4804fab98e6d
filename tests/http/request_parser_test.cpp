#include "transport/http/request_parser.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using namespace ron;
using namespace ron::http;
using namespace std::string_literals;

const std::string chunked_head =
    "PUT /v1/o HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

struct outcome {
  std::string body;
  std::string rest; ///< not part of the message
  bool done = false;
  bool failed = false;
  std::size_t carried_max = 0;
};

/// Feeds `wire` in pieces of `step` bytes, keeping what is unused as a connection would.
outcome read_all(std::string_view head, std::string_view wire, std::size_t step) {
  request_parser p;
  outcome out;
  if (!p.begin(head)) {
    out.failed = true;
    return out;
  }
  std::string carry;
  while (!wire.empty() || !carry.empty()) {
    if (p.done())
      break;
    carry += wire.substr(0, step);
    const bool last = wire.empty();
    wire.remove_prefix(std::min(step, wire.size()));
    auto in = core::bytes::copy(carry);
    for (;;) {
      auto r = p.next(in);
      if (!r) {
        out.failed = true;
        return out;
      }
      out.body += r->data.text();
      in = in.slice(r->used);
      if (r->data.empty() || p.done())
        break;
    }
    carry = in.text();
    out.carried_max = std::max(out.carried_max, carry.size());
    if (last)
      break;
  }
  out.done = p.done();
  out.rest = carry + std::string{wire};
  return out;
}

TEST(HttpRequestParser, AMessageWithoutBodyIsDoneWithItsHead) {
  request_parser p;
  ASSERT_TRUE(p.begin("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
  EXPECT_TRUE(p.done());
  ASSERT_TRUE(p.begin("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
  EXPECT_TRUE(p.done());
}

TEST(HttpRequestParser, SlicesABodyOfKnownLengthWithoutCopying) {
  request_parser p;
  ASSERT_TRUE(p.begin("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"));
  EXPECT_FALSE(p.done());
  auto in = core::bytes::copy("helloGET /");
  auto r = p.next(in);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->used, 5u);
  EXPECT_EQ(r->data.data(), in.data());
  EXPECT_EQ(r->data.text(), "hello");
  EXPECT_TRUE(p.done());
}

TEST(HttpRequestParser, ReadsChunksAtEverySplit) {
  const std::string wire = "5\r\nhello\r\n6;name=\"a b\"\r\n world\r\n0\r\nX-Sum: 1\r\n\r\nNEXT";
  for (std::size_t step = 1; step <= wire.size(); ++step) {
    auto r = read_all(chunked_head, wire, step);
    EXPECT_FALSE(r.failed) << step;
    EXPECT_TRUE(r.done) << step;
    EXPECT_EQ(r.body, "hello world") << step;
    EXPECT_EQ(r.rest, "NEXT") << step;
  }
}

TEST(HttpRequestParser, RefusesAmbiguousChunks) {
  const std::pair<const char*, std::string> forms[] = {
      {"bare LF after size", "5\nhello\r\n0\r\n\r\n"},
      {"bare CR after size", "5\rhello\r\n0\r\n\r\n"},
      {"no CRLF after data", "5\r\nhelloX0\r\n\r\n"},
      {"data longer than size", "3\r\nhello\r\n0\r\n\r\n"},
      {"no size", "\r\nhello\r\n0\r\n\r\n"},
      {"negative size", "-5\r\nhello\r\n0\r\n\r\n"},
      {"prefixed size", "0x5\r\nhello\r\n0\r\n\r\n"},
      {"space before size", " 5\r\nhello\r\n0\r\n\r\n"},
      {"size past 64 bits", "fffffffffffffffff\r\nhello\r\n0\r\n\r\n"},
      {"bare LF in extension", "5;a=\"\n\"\r\nhello\r\n0\r\n\r\n"},
      {"NUL in extension", "5;a=\"\0\"\r\nhello\r\n0\r\n\r\n"s},
      {"bare LF in extension value", "5;a=b\nc\r\nhello\r\n0\r\n\r\n"},
      {"quoted text over the line end", "5;a=\"b\r\n\"\r\nhello\r\n0\r\n\r\n"},
      {"folded trailer", "0\r\nA: b\r\n c\r\n\r\n"},
      {"trailer folded at once", "0\r\nA:\r\n c\r\n\r\n"},
      {"trailer with bare LF", "0\r\nA: b\nC: d\r\n\r\n"},
      {"trailer sets the length", "0\r\nContent-Length: 5\r\n\r\n"},
      {"trailer sets the coding", "0\r\nTransfer-Encoding: chunked\r\n\r\n"},
  };
  for (const auto& [name, wire] : forms)
    for (std::size_t step : {std::size_t{1}, wire.size()})
      EXPECT_TRUE(read_all(chunked_head, wire, step).failed) << name << " by " << step;
}

TEST(HttpRequestParser, BoundsLinesAndTrailers) {
  auto longest = "1;a=" + std::string(request_parser::line_bytes_max, 'b');
  auto r = read_all(chunked_head, longest, 100);
  EXPECT_TRUE(r.failed) << "refused before the line ends";
  EXPECT_LE(r.carried_max, request_parser::line_bytes_max);
  std::string trailers = "0\r\n";
  for (int i = 0; i < 500; ++i)
    trailers += "X-T: 0123456789\r\n";
  EXPECT_TRUE(read_all(chunked_head, trailers, 100).failed);
  for (std::size_t step : {std::size_t{1}, std::size_t{100'000}}) {
    auto line = [](std::size_t n) {
      return "1;a=" + std::string(n, 'b') + "\r\nx\r\n0\r\n\r\n";
    };
    EXPECT_TRUE(read_all(chunked_head, line(1'019), step).done) << step;
    EXPECT_TRUE(read_all(chunked_head, line(1'020), step).failed) << step;
    auto trailer = [](std::size_t n) {
      return "0\r\nT: " + std::string(n, 'b') + "\r\n\r\n";
    };
    EXPECT_TRUE(read_all(chunked_head, trailer(1'019), step).done) << step;
    EXPECT_TRUE(read_all(chunked_head, trailer(1'020), step).failed) << step;
  }
  r = read_all(chunked_head, std::string(2000, '0'), 100);
  EXPECT_TRUE(r.failed) << "leading zeros without an end";
  EXPECT_TRUE(read_all(chunked_head, "0000000005\r\nhello\r\n0\r\n\r\n", 7).done);
}

TEST(HttpRequestParser, CanBeUsedAgain) {
  request_parser p;
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(p.begin(chunked_head));
    auto in = core::bytes::copy("2\r\nab\r\n0\r\n\r\n");
    std::string body;
    while (!p.done()) {
      auto r = p.next(in);
      ASSERT_TRUE(r);
      body += r->data.text();
      in = in.slice(r->used);
    }
    EXPECT_EQ(body, "ab");
    EXPECT_TRUE(in.empty());
  }
}

} // namespace
