#include "oap/hello.hpp"

#include <gtest/gtest.h>

namespace ron::oap::test {
namespace {

std::optional<hello> parse(std::string_view text) {
  return parse_hello({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

TEST(OapHello, MissingKeysMeanTheirFloors) {
  auto h = parse("{}");
  ASSERT_TRUE(h);
  EXPECT_EQ(h->max_frame, 66'560u);
  EXPECT_EQ(h->max_inflight, 64u);
  EXPECT_EQ(h->max_streams, 64u);
  EXPECT_EQ(h->ack_window, 8u);
  EXPECT_EQ(h->versions, std::vector<std::uint32_t>{1});
  EXPECT_TRUE(h->features.empty());
  EXPECT_TRUE(parse(R"({"ua":null})"));
}

TEST(OapHello, RoundTrip) {
  hello h{.ua = "ron/0.1",
          .max_frame = 1u << 20,
          .max_inflight = 100,
          .max_streams = 512,
          .ack_window = 32,
          .transports = {"tcp+tls", "quic"},
          .features = {"x1", "zstd", "later"},
          .pq = R"({"kex":1,"mode":0,"sig":1})"};
  auto got = parse(build_hello(h));
  ASSERT_TRUE(got);
  EXPECT_EQ(got->ua, h.ua);
  EXPECT_EQ(got->max_frame, h.max_frame);
  EXPECT_EQ(got->max_inflight, h.max_inflight);
  EXPECT_EQ(got->max_streams, h.max_streams);
  EXPECT_EQ(got->ack_window, h.ack_window);
  EXPECT_EQ(got->transports, h.transports);
  EXPECT_EQ(got->features, h.features) << "unknown ones are kept";
  EXPECT_EQ(got->pq, h.pq) << "opaque";
}

// The posture is for the transport: whatever it says, the same holds and the same is read.
TEST(OapHello, PqPostureIsCarriedAndChangesNothing) {
  hello ours{.max_frame = 1u << 20, .ack_window = 32, .features = {"x1", "zstd"}};
  for (std::string_view pq : {R"({})", R"({"kex":1,"mode":0,"sig":1})", R"({"kex":9,"mode":2})",
                              R"({"mode":"require"})", R"({"mode":null})",
                              R"({"mode":18446744073709551615,"x":{"deep":[[],{"a":-1}]}})"}) {
    auto h = parse(R"({"max_frame":100000,"features":["zstd"],"pq":)" + std::string{pq} + "}");
    ASSERT_TRUE(h) << pq;
    EXPECT_EQ(h->pq, pq);
    auto without = *h;
    without.pq.clear();
    for (bool alpn : {false, true}) {
      EXPECT_EQ(negotiate(ours, *h, alpn), negotiate(ours, without, alpn)) << pq;
      ours.pq = pq;
      EXPECT_EQ(negotiate(ours, *h, alpn), negotiate(ours, without, alpn)) << "nor does ours";
      ours.pq.clear();
    }
    EXPECT_EQ(parse(build_hello(*h))->pq, pq) << "and goes on as it came";
  }
  for (std::string_view bad : {"1", R"("require")", "[]", "null", "true"})
    EXPECT_FALSE(parse(R"({"pq":)" + std::string{bad} + "}")) << bad;
}

TEST(OapHello, UnknownKeysAndFeaturesAreIgnored) {
  EXPECT_TRUE(parse(R"({"future":{"a":[1,2]},"features":["q"],"pq":{"mode":99,"x":[]}})"));
}

TEST(OapHello, RefusesWrongTypesDuplicatesAndValuesBelowTheFloor) {
  for (auto text : {
         "", "null", "[]", "1", "{", "{} {}", R"({"ua":5})", R"({"ua":"a","ua":"b"})",
         R"({"versions":[]})", R"({"versions":[2,3]})", R"({"versions":1})",
         R"({"versions":["1"]})", R"({"versions":[1,-1]})", R"({"max_frame":66559})",
         R"({"max_frame":66560.0})", R"({"max_frame":-66560})", R"({"max_frame":null})",
         R"({"max_frame":1e9})", R"({"max_inflight":63})", R"({"max_inflight":true})",
         R"({"max_streams":63})", R"({"ack_window":7})", R"({"flags_supported":"255"})",
         R"({"transports":"tcp"})", R"({"transports":[1]})", R"({"features":[null]})",
         R"({"features":{}})", R"({"pq":1})", "{\"ua\":\"\xff\"}",
         R"({"pq":{"mode":1,"mode":2}})",
       })
    EXPECT_FALSE(parse(text)) << text;
  EXPECT_TRUE(parse(R"({"versions":[1,2],"max_frame":99999999999999999999999999})") == std::nullopt)
    << "no integer";
  EXPECT_TRUE(parse(R"({"versions":[2,1],"max_frame":18446744073709551615})"));
}

TEST(OapHello, RefusesMoreThan16KiB) {
  std::string pad(16'384 - 9, 'x');
  EXPECT_TRUE(parse(R"({"ua":")" + pad + R"("})"));
  EXPECT_FALSE(parse(R"({"ua":")" + pad + R"(y"})"));
  std::string deep = R"({"a":)" + std::string(1'000, '[') + std::string(1'000, ']') + "}";
  EXPECT_FALSE(parse(deep));
}

TEST(OapHello, NeverSaysMoreThan16KiB) {
  std::string long_text(20'000, 'x');
  for (const auto& h : {hello{.ua = "a", .pq = "{\"mode\":\"" + long_text + "\"}"},
                        hello{.ua = long_text}, hello{.ua = "a", .features = {long_text}}}) {
    auto text = build_hello(h);
    EXPECT_LE(text.size(), 16'384u);
    EXPECT_TRUE(parse(text));
  }
  EXPECT_TRUE(parse(build_hello({.pq = "not json"}))) << "left out";
}

TEST(OapHello, NegotiatesTheLesserAndNeverAboveTheLaw) {
  hello big{.max_frame = 0xffffffff, .max_inflight = 0xffffffff, .max_streams = 0xffffffff,
            .ack_window = 0xffffffff, .features = {"x1", "zstd"}};
  auto a = negotiate(big, big, false);
  EXPECT_EQ(a, (agreement{1'048'576, 1'024, 65'536, 1'024, true, true}));
  EXPECT_EQ(negotiate(big, hello{}, true), floors(true));
  EXPECT_EQ(negotiate(hello{}, big, false), floors(false));
}

TEST(OapHello, ErrorsForPeersWithoutX1AreTheErrorObject) {
  auto text = build_error_json(static_cast<reason>(0x109), "full", 250, 7);
  auto e = parse_error_json(text);
  EXPECT_EQ(e.code, "unavailable");
  EXPECT_EQ(e.message, "full");
  EXPECT_EQ(e.retry_after_ms, 250u);
  EXPECT_NE(text.find(R"("retryable":true)"), std::string::npos);
  for (auto junk : {"", "[]", "{", R"({"code":1,"message":[],"retry_after_ms":"x"})"}) {
    auto none = parse_error_json(junk);
    EXPECT_TRUE(none.code.empty() && none.message.empty() && none.retry_after_ms == 0);
  }
}

} // namespace
} // namespace ron::oap::test
