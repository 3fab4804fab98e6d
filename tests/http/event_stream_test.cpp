#include "transport/http/event_stream.hpp"

#include "core/json.hpp"
#include "transport/http/response.hpp"

#include <gtest/gtest.h>

namespace {

using namespace ron;
using namespace ron::http;

TEST(EventStream, AnEventIsItsIdAndOneLineOfJson) {
  EXPECT_EQ(event_lines({"01X", {{"text", "a\nb"}}}), "id: 01X\ndata: {\"text\":\"a\\nb\"}\n\n");
  EXPECT_EQ(event_lines({"", {{"n", 1}}}), "data: {\"n\":1}\n\n");
}

TEST(EventStream, TheLastEventSaysWhy) {
  const auto text = error_event({core::ec::draining, "the node is stopping"}, "01C");
  EXPECT_TRUE(text.starts_with("event: error\ndata: {"));
  EXPECT_TRUE(text.ends_with("}\n\n"));
  EXPECT_NE(text.find("\"retryable\":true"), text.npos);
  EXPECT_NE(text.find("\"corr_id\":\"01C\""), text.npos);
}

TEST(EventStream, Chunks) {
  std::string out = "head";
  append_chunk(out, beat_lines);
  append_chunk(out, std::string(26, 'x'));
  EXPECT_EQ(out, "head3\r\n:\n\n\r\n1a\r\n" + std::string(26, 'x') + "\r\n");
  append_chunk(out, "");
  EXPECT_TRUE(out.ends_with("x\r\n")) << "an empty chunk would be the end";
}

TEST(EventStream, Head) {
  for (const bool chunked : {false, true}) {
    std::string out;
    append_events_head(out, chunked, {.date = "now", .corr = "c", .trace = "t", .close = !chunked});
    EXPECT_TRUE(out.starts_with("HTTP/1.1 200 OK\r\n"));
    EXPECT_NE(out.find("Content-Type: text/event-stream\r\n"), out.npos);
    EXPECT_NE(out.find("Cache-Control: no-store\r\n"), out.npos);
    EXPECT_EQ(out.find("Content-Length"), out.npos);
    EXPECT_EQ(out.find("Transfer-Encoding: chunked\r\n") != out.npos, chunked);
    EXPECT_EQ(out.find("Connection: close\r\n") != out.npos, !chunked);
  }
}

} // namespace
