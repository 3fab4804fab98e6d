#include "core/base64.hpp"
#include "transport/http/request_fields.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using namespace ron;
using namespace ron::http;
using core::ec;
using namespace std::chrono_literals;

request_head head(std::vector<field> fields) {
  request_head h;
  h.fields = std::move(fields);
  return h;
}

constexpr std::string_view ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
constexpr std::string_view uuid = "550e8400-e29b-41d4-a716-446655440000";
constexpr std::string_view trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(HttpRequestFields, TakesAWellFormedCorrIdOnly) {
  EXPECT_EQ(read_corr_id(head({{"X-Corr-Id", ulid}}))->text(), ulid);
  EXPECT_EQ(read_corr_id(head({{"x-corr-id", uuid}}))->text(), uuid);
  EXPECT_FALSE(read_corr_id(head({})));
  EXPECT_FALSE(read_corr_id(head({{"X-Corr-ID", "x\" onload=1"}})));
  EXPECT_FALSE(read_corr_id(head({{"X-Corr-ID", ulid}, {"X-Corr-ID", uuid}})));
}

TEST(HttpRequestFields, TakesAWellFormedTraceOnly) {
  EXPECT_EQ(read_trace(head({{"Traceparent", trace}}))->to_text(), trace);
  EXPECT_FALSE(read_trace(head({{"traceparent", "00-0-0-00"}})));
  EXPECT_FALSE(read_trace(head({{"traceparent", trace}, {"traceparent", trace}})));
}

TEST(HttpRequestFields, AnswersAreJsonUnlessCborIsPreferred) {
  const std::pair<std::string_view, format> cases[] = {
      {"", format::json},
      {"*/*", format::json},
      {"text/html", format::json},
      {"application/json", format::json},
      {"application/cbor", format::cbor},
      {"Application/CBOR", format::cbor},
      {"application/cbor;q=0", format::json},
      {"application/cbor;q=0.0", format::json},
      {"application/cbor;q=0.5, application/json", format::json},
      {"application/cbor;q=0.5, application/json;q=0.4", format::cbor},
      {"application/cbor; q=0.001", format::cbor},
      {"application/json;q=0.9,application/cbor", format::cbor},
      {"application/cbor;q=", format::cbor},
      {",,;=", format::json},
  };
  for (auto [text, expected] : cases)
    EXPECT_EQ(read_accept(head({{"Accept", text}})), expected) << text;
  EXPECT_EQ(read_accept(head({{"Accept", "text/html"}, {"Accept", "application/cbor"}})),
            format::cbor);
}

TEST(HttpRequestFields, TheDeadlineIsPlainMilliseconds) {
  EXPECT_EQ(*read_deadline(head({})), std::nullopt);
  EXPECT_EQ(*read_deadline(head({{"X-Deadline-Ms", "250"}})), 250ms);
  EXPECT_EQ(*read_deadline(head({{"X-Deadline-Ms", "0"}})), 0ms);
  for (auto text : {"", "-1", "+1", "1.5", "01", "1ms", "9223372036854775808"})
    EXPECT_EQ(read_deadline(head({{"X-Deadline-Ms", text}})).error().code, ec::bad_request) << text;
  EXPECT_FALSE(read_deadline(head({{"X-Deadline-Ms", "1"}, {"X-Deadline-Ms", "1"}})));
}

TEST(HttpRequestFields, TheCapabilityIsTheDecodedBearerToken) {
  auto token = core::base64url_encode(core::bytes::copy("\x02macaroon\xff").view());
  EXPECT_TRUE(read_capability(head({}))->empty());
  EXPECT_EQ(read_capability(head({{"Authorization", "Bearer " + token}}))->text(),
            "\x02macaroon\xff");
  EXPECT_EQ(read_capability(head({{"authorization", "bEARER  " + token}}))->text(),
            "\x02macaroon\xff");
  auto large = core::base64url_encode(core::bytes::copy(std::string(4097, 'x')).view());
  const std::string bad[] = {"",
                             "Bearer",
                             "Bearer ",
                             token,
                             "Basic x",
                             "Bearer !",
                             "Bearer " + token + "=",
                             "Bearer a b",
                             "Bearer " + large};
  for (const auto& text : bad)
    EXPECT_EQ(read_capability(head({{"Authorization", text}})).error().code, ec::unauth) << text;
  auto value = "Bearer " + token;
  EXPECT_FALSE(read_capability(head({{"Authorization", value}, {"Authorization", value}})));
}

TEST(HttpRequestFields, IdempotencyKeysArePrintableAndShort) {
  EXPECT_EQ(*read_idempotency_key(head({})), "");
  EXPECT_EQ(*read_idempotency_key(head({{"Idempotency-Key", "a b!"}})), "a b!");
  std::string longest(128, 'k');
  EXPECT_EQ(*read_idempotency_key(head({{"Idempotency-Key", longest}})), longest);
  std::string longer(129, 'k');
  for (std::string_view text : {std::string_view{""}, std::string_view{longer},
                                std::string_view{"a\tb"}, std::string_view{"\xc3\xa4"}})
    EXPECT_EQ(read_idempotency_key(head({{"Idempotency-Key", text}})).error().code,
              ec::bad_request);
  EXPECT_FALSE(read_idempotency_key(head({{"Idempotency-Key", "a"}, {"Idempotency-Key", "a"}})));
}

TEST(HttpRequestFields, BodiesAreJsonOrCbor) {
  EXPECT_EQ(*read_content_type(head({})), format::json);
  EXPECT_EQ(*read_content_type(head({{"Content-Type", "application/json; charset=utf-8"}})),
            format::json);
  EXPECT_EQ(*read_content_type(head({{"Content-Type", "Application/CBOR"}})), format::cbor);
  for (auto text : {"text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json"})
    EXPECT_EQ(read_content_type(head({{"Content-Type", text}})).error().code, ec::unsupported_media)
        << text;
  EXPECT_EQ(read_content_type(
                head({{"Content-Type", "application/json"}, {"Content-Type", "application/cbor"}}))
                .error()
                .code,
            ec::bad_request);
}

TEST(HttpRequestFields, ListsAreJoined) {
  EXPECT_EQ(joined(head({{"If-None-Match", "\"a\""}, {"X", "y"}, {"if-none-match", "\"b\""}}),
                   "If-None-Match"),
            "\"a\", \"b\"");
  EXPECT_EQ(joined(head({}), "If-None-Match"), "");
}

} // namespace
