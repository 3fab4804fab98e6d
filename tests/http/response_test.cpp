#include "transport/http/response.hpp"

#include "core/json.hpp"

#include <gtest/gtest.h>

#include <string>

namespace {

using namespace ron;
using namespace ron::http;

constexpr std::string_view date = "Sun, 06 Nov 1994 08:49:37 GMT";
constexpr std::string_view corr = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
constexpr std::string_view trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

answer_context context() {
  return {.date = date, .corr = corr, .trace = trace};
}

bool has(const std::string& out, std::string_view line) {
  return out.find("\r\n" + std::string{line} + "\r\n") != std::string::npos;
}

std::string body_of(const std::string& out) {
  return out.substr(out.find("\r\n\r\n") + 4);
}

TEST(HttpResponse, DatesAreWrittenOnceASecond) {
  date_line d;
  EXPECT_EQ(d.at(784111777'000), date);
  auto* before = d.at(784111777'999).data();
  EXPECT_EQ(d.at(784111777'999), date);
  EXPECT_EQ(d.at(784111777'000).data(), before);
  EXPECT_EQ(d.at(784111778'000), "Sun, 06 Nov 1994 08:49:38 GMT");
  EXPECT_EQ(d.at(0), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(d.at(1'709'164'800'000), "Thu, 29 Feb 2024 00:00:00 GMT");
}

TEST(HttpResponse, EveryErrorHasAPhrase) {
  for (std::size_t i = 0; i < core::ec_count; ++i)
    EXPECT_NE(reason_phrase(core::info(static_cast<core::ec>(i)).http_status), "") << i;
}

TEST(HttpResponse, AJsonAnswerIsComplete) {
  std::string out;
  transport::answer a;
  a.status = 201;
  a.result = {{"cid", "b3:00"}};
  a.headers = {{"Location", "/v1/o/b3:00"}};
  append_answer(out, a, context());
  EXPECT_EQ(out.substr(0, out.find('\r')), "HTTP/1.1 201 Created");
  EXPECT_TRUE(has(out, "Date: " + std::string{date}));
  EXPECT_TRUE(has(out, "X-Corr-ID: " + std::string{corr}));
  EXPECT_TRUE(has(out, "traceparent: " + std::string{trace}));
  EXPECT_TRUE(has(out, "Location: /v1/o/b3:00"));
  EXPECT_TRUE(has(out, "Content-Type: application/json"));
  EXPECT_TRUE(has(out, "Content-Length: 15"));
  EXPECT_EQ(out.find("Connection:"), std::string::npos);
  EXPECT_EQ(body_of(out), R"({"cid":"b3:00"})");
}

TEST(HttpResponse, TheSameInCbor) {
  std::string out;
  transport::answer a;
  a.result = {{"a", 1}};
  auto c = context();
  c.cbor = true;
  append_answer(out, a, c);
  EXPECT_TRUE(has(out, "Content-Type: application/cbor"));
  EXPECT_EQ(body_of(out), "\xa1" "aa\x01");
}

TEST(HttpResponse, HeadHasTheFieldsButNoBody) {
  std::string out;
  transport::answer a;
  a.result = {{"a", 1}};
  auto c = context();
  c.head_only = true;
  c.close = true;
  append_answer(out, a, c);
  EXPECT_TRUE(has(out, "Content-Length: 7"));
  EXPECT_TRUE(has(out, "Connection: close"));
  EXPECT_EQ(body_of(out), "");
}

TEST(HttpResponse, EmptyAnswersSayTheirLengthUnlessTheyHaveNone) {
  for (int status : {200, 202, 204, 304}) {
    std::string out;
    transport::answer a;
    a.status = static_cast<std::uint16_t>(status);
    append_answer(out, a, context());
    EXPECT_EQ(has(out, "Content-Length: 0"), status < 204) << status;
    EXPECT_EQ(body_of(out), "");
  }
}

TEST(HttpResponse, TextIsSentAsItIs) {
  std::string out;
  transport::answer a;
  a.content_type = "text/html; charset=utf-8";
  a.text = "<p>";
  append_answer(out, a, context());
  EXPECT_TRUE(has(out, "Content-Type: text/html; charset=utf-8"));
  EXPECT_EQ(body_of(out), "<p>");
}

TEST(HttpResponse, FieldsOfAnOperationCannotBreakTheFraming) {
  std::string out;
  transport::answer a;
  a.status = 204;
  a.headers = {{"Location", "/a\r\nX-Evil: 1"}, {"X Bad", "1"},        {"", "1"},
               {"Content-Length", "5"},         {"transfer-encoding", "chunked"},
               {"Connection", "keep-alive"},    {"ETag", "\"1\""}};
  append_answer(out, a, context());
  EXPECT_EQ(out.find("Evil"), std::string::npos);
  EXPECT_EQ(out.find("X Bad"), std::string::npos);
  EXPECT_EQ(out.find("chunked"), std::string::npos);
  EXPECT_EQ(out.find("Content-Length"), std::string::npos);
  EXPECT_EQ(out.find("Connection"), std::string::npos);
  EXPECT_TRUE(has(out, "ETag: \"1\""));
}

TEST(HttpResponse, ErrorsCarryTheirRow) {
  for (std::size_t i = 1; i < core::ec_count; ++i) {
    const auto& row = core::info(static_cast<core::ec>(i));
    std::string out;
    append_error(out, {row.value, "why"}, context());
    auto body = core::parse_json(body_of(out));
    ASSERT_TRUE(body);
    EXPECT_TRUE(out.starts_with("HTTP/1.1 " + std::to_string(row.http_status) + ' '));
    EXPECT_EQ((*body)["code"], row.code);
    EXPECT_EQ((*body)["reason"], row.reason);
    EXPECT_EQ((*body)["retryable"], row.retryable);
    EXPECT_EQ((*body)["corr_id"], corr);
    EXPECT_EQ(has(out, "WWW-Authenticate: Bearer"), row.http_status == 401);
    EXPECT_EQ(has(out, "Retry-After: 1"), row.http_status == 503 || row.http_status == 429) << i;
  }
}

TEST(HttpResponse, RetryAfterRoundsUp) {
  std::string out;
  append_error(out, {core::ec::busy, "full", 1'001}, context());
  EXPECT_TRUE(has(out, "Retry-After: 2"));
  EXPECT_EQ((*core::parse_json(body_of(out)))["retry_after_ms"], 1'001);
}

TEST(HttpResponse, MethodNotAllowedListsTheMethods) {
  std::string out;
  append_error(out, {core::ec::method_not_allowed, "GET, HEAD"}, context());
  EXPECT_TRUE(has(out, "Allow: GET, HEAD"));
  out.clear();
  append_error(out, {core::ec::method_not_allowed, ""}, context());
  EXPECT_TRUE(has(out, "Allow: "));
}

TEST(HttpResponse, AnErrorStatusWithoutResultGetsTheErrorBody) {
  std::string out;
  transport::answer a;
  a.status = 416;
  a.headers = {{"Content-Range", "bytes */7"}};
  append_answer(out, a, context());
  EXPECT_TRUE(has(out, "Content-Range: bytes */7"));
  EXPECT_EQ((*core::parse_json(body_of(out)))["reason"], "range");
  EXPECT_EQ(from_status(404), core::ec::not_found);
  EXPECT_EQ(from_status(599), core::ec::internal);
}

TEST(HttpResponse, ObjectsCarryValidatorsAndSafety) {
  std::string out;
  transport::object_head h;
  h.size = 10;
  h.length = 10;
  auto c = context();
  c.immutable = true;
  append_object_head(out, h, false, c);
  EXPECT_TRUE(out.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(has(out, "ETag: \"b3:" + std::string(64, '0') + "\""));
  EXPECT_TRUE(has(out, "Accept-Ranges: bytes"));
  EXPECT_TRUE(has(out, "Cache-Control: public, max-age=31536000, immutable"));
  EXPECT_TRUE(has(out, "X-Content-Type-Options: nosniff"));
  EXPECT_TRUE(has(out, "Content-Security-Policy: sandbox; default-src 'none'"));
  EXPECT_TRUE(has(out, "Content-Disposition: attachment"));
  EXPECT_TRUE(has(out, "Content-Type: application/octet-stream"));
  EXPECT_TRUE(has(out, "Content-Length: 10"));
  EXPECT_EQ(out.find("Content-Range"), std::string::npos);
}

TEST(HttpResponse, PartialAndUnchangedObjects) {
  std::string out;
  transport::object_head h;
  h.size = 10;
  h.first = 2;
  h.length = 3;
  h.partial = true;
  h.content_type = "image/png";
  append_object_head(out, h, false, context());
  EXPECT_TRUE(out.starts_with("HTTP/1.1 206 Partial Content\r\n"));
  EXPECT_TRUE(has(out, "Content-Range: bytes 2-4/10"));
  EXPECT_TRUE(has(out, "Content-Length: 3"));
  EXPECT_TRUE(has(out, "Cache-Control: no-cache")) << "a name may point elsewhere tomorrow";
  EXPECT_EQ(out.find("Content-Disposition"), std::string::npos);
  out.clear();
  append_object_head(out, h, true, context());
  EXPECT_TRUE(out.starts_with("HTTP/1.1 304 Not Modified\r\n"));
  EXPECT_EQ(out.find("Content-Length"), std::string::npos);
  EXPECT_NE(out.find("ETag"), std::string::npos);
}

TEST(HttpResponse, AHostileContentTypeIsNotSent) {
  std::string out;
  transport::object_head h;
  h.content_type = "text/plain\r\nX-Evil: 1";
  append_object_head(out, h, false, context());
  EXPECT_EQ(out.find("Evil"), std::string::npos);
  EXPECT_TRUE(has(out, "Content-Type: application/octet-stream"));
}

TEST(HttpResponse, OnlyInertTypesAreShown) {
  for (auto type : {"image/png", "IMAGE/JPEG", "audio/ogg", "video/mp4; codecs=x", "text/plain",
                    "text/plain; charset=utf-8", "application/pdf"})
    EXPECT_TRUE(is_inert(type)) << type;
  for (auto type : {"image/svg+xml", "image/SVG+xml; x", "text/html", "text/plainx", "", "image/",
                    "application/javascript", "text/xml"})
    EXPECT_FALSE(is_inert(type)) << type;
}

} // namespace
