#include "oap/harness.hpp"
#include "oap/vectors.hpp"

#include <gtest/gtest.h>

#include <map>

/// Limits of the acceptor, drain, the end of a connection, and peers without x1.
namespace ron::oap::test {
namespace {

core::bytes text(std::string_view s) {
  return core::bytes::copy(s);
}

std::uint16_t number(reason r) {
  return static_cast<std::uint16_t>(r);
}

// -- limits of the acceptor --------------------------------------------------------------

TEST(OapSession, StartBeyondMaxStreamsIsRefusedAndSpawnsNothing) {
  harness h{role::acceptor, {.max_streams = 64}};
  for (corr_t c = 1; c <= 64; ++c)
    h.feed(start_frame_of(c));
  h.log.clear();
  h.feed(start_frame_of(65));
  EXPECT_TRUE(h.log.empty());
  auto e = h.frames(kind::error);
  ASSERT_EQ(e.size(), 1u);
  EXPECT_EQ(e[0].corr, 65u);
  EXPECT_EQ(e[0].why, reason::stream_limit);
  EXPECT_EQ(e[0].status, 429);
  EXPECT_GT(e[0].retry_after_ms, 0u);
  EXPECT_EQ(h.rejects(), 0u);
  EXPECT_EQ(h.s.counters().starts_refused, 1u);
  // What was in flight on it is dropped.
  for (std::uint64_t q = 1; q <= 8; ++q)
    h.feed(data_frame_of(65, q));
  EXPECT_FALSE(h.s.is_closed());
  h.feed(data_frame_of(65, 9));
  EXPECT_TRUE(h.s.is_closed());
}

TEST(OapSession, StartsPerSlidingSecondAreLimited) {
  harness h{role::acceptor, {.max_streams = 64}};
  corr_t c = 0;
  auto open_and_cancel = [&] {
    h.now += std::chrono::milliseconds{1};
    ++c;
    h.feed(start_frame_of(c) + error_frame_of(c, 499, 0x1f0));
  };
  for (int i = 0; i < 128; ++i)
    open_and_cancel();
  EXPECT_EQ(h.s.counters().streams, 128u);
  EXPECT_EQ(h.s.counters().starts_refused, 0u);
  open_and_cancel();
  EXPECT_EQ(h.s.counters().starts_refused, 1u) << "cancelled ones count";
  h.now += std::chrono::milliseconds{1'100};
  open_and_cancel();
  EXPECT_EQ(h.s.counters().streams, 129u);
}

// -- drain and end -----------------------------------------------------------------------

TEST(OapSession, DrainRefusesNewStreamsAndEndsWithTheLast) {
  acceptor_harness h;
  h.s.drain(500);
  h.s.drain(500);
  h.pump();
  ASSERT_EQ(h.sent.size(), 1u);
  EXPECT_EQ(h.sent[0].status, 503);
  EXPECT_EQ(h.sent[0].why, reason::drain);
  EXPECT_EQ(h.sent[0].app, 0);
  EXPECT_EQ(h.sent[0].seq, 1u) << "last corr accepted";
  EXPECT_EQ(h.sent[0].retry_after_ms, 500u);
  EXPECT_FALSE(h.s.finished());
  h.sent.clear();
  h.feed(start_frame_of(2) + data_frame_of(1, 1, "still works"));
  ASSERT_EQ(h.frames(kind::error).size(), 1u);
  EXPECT_EQ(h.frames(kind::error)[0].why, reason::drain);
  EXPECT_EQ(h.frames(kind::error)[0].corr, 2u);
  EXPECT_EQ(h.all<data>().size(), 1u);
  h.feed(end_frame_of(1, 1));
  h.s.end(1);
  h.pump();
  EXPECT_TRUE(h.s.finished());
  EXPECT_EQ(h.all<closed>().at(0).why, reason::none);
  EXPECT_EQ(h.rejects(), 0u);
}

TEST(OapSession, DialerRepeatsWhatWasNotAccepted) {
  harness h{role::dialer};
  for (int i = 0; i < 3; ++i)
    ASSERT_TRUE(h.s.open({.name = "x"}));
  h.pump();
  h.feed(error_frame_of(0, 503, number(reason::drain), 2));
  ASSERT_EQ(h.all<draining>().size(), 1u);
  EXPECT_EQ(h.all<draining>()[0].last_seq, 2u);
  auto e = h.all<stream_error>();
  ASSERT_EQ(e.size(), 1u);
  EXPECT_EQ(e[0].corr, 3u);
  EXPECT_EQ(e[0].why, reason::drain);
  EXPECT_EQ(h.s.open({.name = "x"}).error().code, core::ec::draining);
  h.feed(error_frame_of(3, 503, number(reason::drain)));
  EXPECT_FALSE(h.s.is_closed()) << "the START's own refusal changes nothing";
  h.feed(end_frame_of(1, 0, "", from_peer) + end_frame_of(2, 0, "", from_peer));
  h.s.end(1);
  EXPECT_FALSE(h.s.finished());
  h.s.end(2);
  EXPECT_TRUE(h.s.finished());
}

TEST(OapSession, ConnectionErrorEndsEverything) {
  dialer_harness h;
  h.feed(error_frame_of(0, 400, number(reason::bad_ext), 0, 0, "why"));
  ASSERT_EQ(h.all<closed>().size(), 1u);
  EXPECT_EQ(h.all<closed>()[0].why, reason::bad_ext);
  EXPECT_EQ(h.all<closed>()[0].status, 400);
  EXPECT_FALSE(h.all<closed>()[0].local);
  EXPECT_EQ(h.all<closed>()[0].message.text(), "why");
  EXPECT_EQ(h.all<stream_error>().size(), 1u);
  EXPECT_TRUE(h.sent.empty()) << "not answered";
  EXPECT_EQ(h.rejects(), 0u);
  EXPECT_FALSE(h.s.wants_read());
}

TEST(OapSession, CloseWithSaysWhyOnce) {
  acceptor_harness h;
  h.s.close_with(reason::timeout, "idle");
  h.s.close_with(reason::timeout, "idle");
  h.pump();
  ASSERT_EQ(h.sent.size(), 1u);
  EXPECT_EQ(h.sent[0].status, 504);
  EXPECT_EQ(h.sent[0].text, "idle");
  EXPECT_EQ(h.all<closed>().size(), 1u);
  EXPECT_EQ(h.all<stream_error>().size(), 1u);
  EXPECT_EQ(h.rejects(), 0u);
}

// -- a peer without x1 -------------------------------------------------------------------

wire plain_start(corr_t corr, std::uint16_t flags, std::string_view args) {
  raw r{.flags = static_cast<std::uint16_t>(flag::req | flag::start | flags), .app = 1,
        .corr = corr};
  put(r.body, args);
  return r.build();
}

TEST(OapSession, PeerWithoutX1GetsExactlyOneAnswer) {
  harness h{role::acceptor, {.alpn = false}};
  EXPECT_FALSE(h.s.limits().x1);
  h.feed(plain_start(1, flag::end, "args"));
  ASSERT_EQ(h.all<opened>().size(), 1u);
  EXPECT_EQ(h.all<opened>()[0].args.text(), "args");
  EXPECT_TRUE(h.all<opened>()[0].name.empty());
  EXPECT_EQ(h.s.send(1, text("part")), send_status::refused);
  EXPECT_EQ(h.s.send(1, text("all"), {.end = true}), send_status::sent);
  h.pump();
  ASSERT_EQ(h.sent.size(), 1u);
  EXPECT_EQ(h.sent[0].kind, kind::end);
  EXPECT_FALSE(h.sent[0].ext);
  EXPECT_EQ(h.sent[0].status, 200);
  EXPECT_EQ(h.sent[0].text, "all");
  EXPECT_FALSE(h.s.is_open(1));
}

TEST(OapSession, SpeaksWithTheBytesOfThePublicRustCrate) {
  std::map<std::string, wire> g;
  for (const auto& v : load_vectors())
    g[v.name] = v.bytes;
  harness h{role::acceptor, {.alpn = false}, ""};
  h.feed(g["G_hello"] + g["G_start_cap_pl_ack_end"]);
  ASSERT_EQ(h.all<opened>().size(), 1u);
  EXPECT_EQ(h.all<opened>()[0].cap.text(), "scope=read");
  EXPECT_EQ(h.all<opened>()[0].args.text(), "ping");
  EXPECT_EQ(h.rejects(), 0u);
  harness d{role::dialer, {.alpn = false}, ""};
  d.feed(g["G_hello_reply"]);
  EXPECT_TRUE(d.s.hello_received());
  EXPECT_EQ(d.s.limits().max_frame, 66'560u);
}

TEST(OapSession, PeerWithoutX1GetsErrorsAsJson) {
  harness h{role::acceptor, {.alpn = false}};
  h.feed(plain_start(1, flag::end, ""));
  h.s.fail(1, {core::ec::quota, "slow down", 1500});
  h.pump();
  ASSERT_EQ(h.sent.size(), 1u);
  EXPECT_FALSE(h.sent[0].ext);
  EXPECT_EQ(h.sent[0].status, 429);
  auto j = parse_error_json(h.sent[0].text);
  EXPECT_EQ(j.code, "quota_exhausted");
  EXPECT_EQ(j.message, "slow down");
  EXPECT_EQ(j.retry_after_ms, 1500u);
}

TEST(OapSession, PeerWithoutX1HasNoStreamsOfDataAndAtMostMaxInflightOpen) {
  harness h{role::acceptor, {.alpn = false}};
  h.feed(plain_start(1, 0, ""));
  EXPECT_EQ(h.rejects(bucket::header_malformed), 1u);
  ASSERT_EQ(h.sent.size(), 1u);
  EXPECT_EQ(h.sent[0].corr, 1u);
  EXPECT_EQ(h.sent[0].status, 400);
  h.sent.clear();
  for (corr_t c = 2; c < 66; ++c)
    h.feed(plain_start(c, flag::end, ""));
  EXPECT_EQ(h.s.open_streams(), 64u);
  h.feed(plain_start(66, flag::end, ""));
  ASSERT_EQ(h.sent.size(), 1u);
  EXPECT_EQ(h.sent[0].status, 429);
}

TEST(OapSession, X1CanBeAgreedInHelloAlone) {
  harness h{role::acceptor, {.alpn = false}, R"({"features":["x1"]})"};
  EXPECT_TRUE(h.s.limits().x1);
  h.feed(start_frame_of(1));
  EXPECT_EQ(h.all<opened>().size(), 1u);
}

TEST(OapSession, DialerWithoutX1WaitsForHelloThenAsksOnce) {
  harness h{role::dialer, {.alpn = false}, ""};
  EXPECT_EQ(h.s.open({.end = true}).error().code, core::ec::busy);
  h.feed(hello_frame(false, R"({"ua":null})"));
  EXPECT_EQ(h.s.open({.name = "named", .end = true}).error().code, core::ec::bad_request);
  ASSERT_TRUE(h.s.open({.end = true}));
  h.pump();
  raw r{.flags = flag::resp | flag::end, .code = 200, .app = 1, .corr = 1};
  put(r.body, "answer");
  h.feed(r.build());
  ASSERT_EQ(h.all<data>().size(), 1u);
  EXPECT_EQ(h.all<data>()[0].bytes.text(), "answer");
  EXPECT_TRUE(h.all<ended>().at(0).closed);
  EXPECT_TRUE(h.frames(kind::ack).empty());
}

} // namespace
} // namespace ron::oap::test
