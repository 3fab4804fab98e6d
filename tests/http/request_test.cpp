#include "core/json.hpp"
#include "transport/http/request.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using namespace ron;
using namespace ron::http;
using core::ec;
using transport::operation;

const transport::operation_table& table() {
  static const transport::operation_table t{{
      operation{.method = "PUT", .path = "/v1/o", .takes = transport::body::object},
      operation{.method = "GET", .path = "/v1/o/{cid}"},
      operation{.method = "PUT",
                .path = "/v1/names/{name...}",
                .takes = transport::body::json,
                .query = {{"dry", transport::query_param::type::integer}}},
  }};
  return t;
}

struct outcome {
  http::request r;
  ec code = ec::none;
};

outcome read(const std::string& line, const std::string& fields = {}) {
  auto text = line + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
  auto head = check_head(text, {});
  EXPECT_TRUE(head) << text;
  outcome out;
  if (auto ok = read_request(*head, table(), 1'000, out.r); !ok)
    out.code = ok.error().code;
  return out;
}

TEST(HttpRequest, CollectsPathQueryAndFields) {
  auto o = read("PUT /v1/names/alice/a%20b?dry=1",
                "If-Match: \"7\"\r\nIdempotency-Key: k\r\nX-Deadline-Ms: 250\r\n"
                "Authorization: Bearer YWJj\r\nAccept: application/cbor\r\n"
                "Content-Type: application/cbor\r\nContent-Encoding: zstd\r\n"
                "Content-Length: 10\r\nX-Corr-ID: 01ARZ3NDEKTSV4RRFFQ69G5FAV\r\n");
  EXPECT_EQ(o.code, ec::none);
  EXPECT_EQ(o.r.call.op->path, "/v1/names/{name...}");
  EXPECT_EQ(o.r.call.args, (core::json{{"name", "alice/a b"}, {"dry", 1}}));
  EXPECT_EQ(o.r.call.if_match, "\"7\"");
  EXPECT_EQ(o.r.call.idempotency_key, "k");
  EXPECT_EQ(o.r.call.capability.text(), "abc");
  EXPECT_EQ(o.r.call.corr.text(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
  EXPECT_EQ(o.r.patience, std::chrono::milliseconds{250});
  EXPECT_EQ(o.r.answer_format, format::cbor);
  EXPECT_EQ(o.r.body_format, format::cbor);
  EXPECT_EQ(o.r.body_coding, transport::coding::zstd);
  EXPECT_TRUE(o.r.has_body);
}

TEST(HttpRequest, RangesCountForGetOnly) {
  EXPECT_TRUE(read("GET /v1/o/x", "Range: bytes=0-1\r\n").r.call.range);
  EXPECT_FALSE(read("HEAD /v1/o/x", "Range: bytes=0-1\r\n").r.call.range);
  EXPECT_FALSE(read("GET /v1/o/x", "Range: bytes=0-1\r\nRange: bytes=0-1\r\n").r.call.range);
  EXPECT_TRUE(read("HEAD /v1/o/x").r.head_only);
}

TEST(HttpRequest, ObjectsTellTheirLengthAndTakeNoCoding) {
  EXPECT_EQ(read("PUT /v1/o", "Content-Length: 5000000000\r\n").r.call.body_length, 5'000'000'000u);
  EXPECT_EQ(read("PUT /v1/o", "Transfer-Encoding: chunked\r\n").r.call.body_length, std::nullopt);
  EXPECT_EQ(read("PUT /v1/o", "Content-Length: 1\r\nContent-Encoding: gzip\r\n").code,
            ec::unsupported_coding);
  EXPECT_EQ(read("PUT /v1/o", "Content-Length: 1\r\nContent-Type: text/plain\r\n").code, ec::none);
}

TEST(HttpRequest, RefusesEachRuleByItsName) {
  const std::string put = "PUT /v1/names/a";
  EXPECT_EQ(read("GET /nothing").code, ec::not_found);
  EXPECT_EQ(read("DELETE /v1/o/x").code, ec::method_not_allowed);
  EXPECT_EQ(read("GET /v1/o/a%2Fb").code, ec::bad_request);
  EXPECT_EQ(read("GET /v1/o/%ff").code, ec::bad_request) << "not UTF-8";
  EXPECT_EQ(read("GET /v1/o/x?y=1").code, ec::bad_request);
  EXPECT_EQ(read("PUT /v1/names/a?name=b").code, ec::bad_request);
  EXPECT_EQ(read("GET /v1/o/x", "Content-Length: 1\r\n").code, ec::bad_request) << "takes no body";
  EXPECT_EQ(read("GET /v1/o/x", "Content-Length: 0\r\n").code, ec::none);
  EXPECT_EQ(read("GET /v1/o/x", "Authorization: Basic x\r\n").code, ec::unauth);
  EXPECT_EQ(read("GET /v1/o/x", "X-Deadline-Ms: soon\r\n").code, ec::bad_request);
  EXPECT_EQ(read("GET /v1/o/x", "If-Match: a\r\nIf-Match: b\r\n").code, ec::bad_request);
  EXPECT_EQ(read(put, "Content-Length: 1001\r\n").code, ec::body_cap);
  EXPECT_EQ(read(put, "Content-Length: 1000\r\n").code, ec::none);
  EXPECT_EQ(read(put, "Content-Length: 1\r\nContent-Type: text/plain\r\n").code,
            ec::unsupported_media);
  EXPECT_EQ(read(put, "Content-Length: 1\r\nContent-Encoding: br\r\n").code,
            ec::unsupported_coding);
  EXPECT_EQ(
      read(put, "Content-Length: 1\r\nContent-Encoding: gzip\r\nContent-Encoding: gzip\r\n").code,
      ec::unsupported_coding);
}

TEST(HttpRequest, ARefusalKnowsItsFormatAndId) {
  auto o =
      read("GET /nothing", "Accept: application/cbor\r\nX-Corr-ID: 01ARZ3NDEKTSV4RRFFQ69G5FAV\r\n");
  EXPECT_EQ(o.r.answer_format, format::cbor);
  EXPECT_EQ(o.r.call.corr.text(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
}

TEST(HttpRequest, BodiesAreMergedIntoTheArguments) {
  core::json args{{"name", "a"}};
  ASSERT_TRUE(merge_body(R"({"cid":"b3:00","ttl_s":5})", format::json, args));
  EXPECT_EQ(args, (core::json{{"name", "a"}, {"cid", "b3:00"}, {"ttl_s", 5}}));
  for (auto text :
       {"[]", "1", "null", "", "{", "{\"a\":1}{}", "{\"name\":\"b\"}", "{\"a\":1,\"a\":2}"}) {
    core::json copy{{"name", "a"}};
    auto r = merge_body(text, format::json, copy);
    ASSERT_FALSE(r) << text;
    EXPECT_EQ(r.error().code, ec::bad_request) << text;
  }
}

TEST(HttpRequest, BodiesMayBeCbor) {
  auto args = core::json::object();
  ASSERT_TRUE(merge_body("\xa1\x61"
                         "a\x01",
                         format::cbor, args));
  EXPECT_EQ(args, (core::json{{"a", 1}}));
}

} // namespace
