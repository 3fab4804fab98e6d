#include "oap/harness.hpp"

#include <gtest/gtest.h>

#include <map>

/// What a connection does when nobody breaks the rules.
namespace ron::oap::test {
namespace {

core::bytes text(std::string_view s) {
  return core::bytes::copy(s);
}

std::uint16_t number(reason r) {
  return static_cast<std::uint16_t>(r);
}

// -- HELLO ---------------------------------------------------------------------------

TEST(OapSession, SaysHelloAtOnce) {
  for (auto r : {role::dialer, role::acceptor}) {
    session s{r, {.ua = "me"}};
    std::vector<core::bytes> out;
    ASSERT_TRUE(s.take(out));
    auto got = next(out[0].view(), {});
    ASSERT_EQ(got.is, read_status::frame);
    auto f = sent_frame_of(view_of(out[0].view(), got));
    EXPECT_EQ(f.kind, kind::hello);
    EXPECT_EQ(f.flags, r == role::dialer ? flag::req : flag::resp);
    EXPECT_NE(f.text.find(R"("ua":"me")"), std::string::npos);
    EXPECT_FALSE(s.take(out));
  }
}

TEST(OapSession, TheLesserOfBothSidesHolds) {
  session s{role::acceptor,
            {.max_frame = 200'000, .max_streams = 100, .max_inflight = 128, .ack_window = 16}};
  EXPECT_EQ(s.limits(), floors(true));
  s.on_bytes(to_bytes(hello_frame(
               true, R"({"max_frame":9999999999,"max_streams":70,"max_inflight":500,)"
                     R"("ack_window":12,"features":["zstd","new"],"pq":{"mode":1}})")),
             {});
  events out;
  ASSERT_TRUE(s.take_events(out));
  const auto& e = std::get<peer_hello>(out.at(0));
  EXPECT_EQ(e.limits.max_frame, 200'000u);
  EXPECT_EQ(e.limits.max_streams, 70u);
  EXPECT_EQ(e.limits.max_inflight, 128u);
  EXPECT_EQ(e.limits.ack_window, 12u);
  EXPECT_TRUE(e.limits.x1);
  EXPECT_TRUE(e.limits.zstd);
  EXPECT_EQ(e.said->pq, R"({"mode":1})");
  EXPECT_TRUE(e.said->has_feature("new"));
}

TEST(OapSession, StartBeforeThePeersHelloGoesOnTheFloors) {
  harness h{role::dialer, {.max_streams = 512, .ack_window = 32}, ""};
  for (int i = 0; i < 64; ++i)
    ASSERT_TRUE(h.s.open({.name = "echo"}));
  EXPECT_EQ(h.s.open({.name = "echo"}).error().code, core::ec::busy);
  for (int i = 0; i < 8; ++i)
    ASSERT_EQ(h.s.send(1, text("x")), send_status::sent);
  EXPECT_EQ(h.s.send(1, text("x")), send_status::would_block);
  h.feed(hello_frame(false, R"({"max_streams":512,"ack_window":32})"));
  EXPECT_EQ(h.all<credit>().size(), 1u) << "the agreed window is larger";
  for (int i = 8; i < 32; ++i)
    ASSERT_EQ(h.s.send(1, text("x")), send_status::sent);
  EXPECT_EQ(h.s.send(1, text("x")), send_status::would_block);
  EXPECT_TRUE(h.s.open({.name = "echo"}));
}

TEST(OapSession, AcceptsStartRightBehindHello) {
  harness h{role::acceptor, {}, ""};
  h.feed(hello_frame(true) + start_frame_of(1, {.name = "ping"}) + data_frame_of(1, 1, "abc"));
  ASSERT_EQ(h.log.size(), 3u);
  EXPECT_EQ(std::get<opened>(h.log[1]).name.text(), "ping");
  EXPECT_EQ(std::get<data>(h.log[2]).bytes.text(), "abc");
}

// -- a stream ------------------------------------------------------------------------

TEST(OapSession, RequestAndAnswer) {
  dialer_harness h;
  EXPECT_EQ(h.s.send(1, text("ask")), send_status::sent);
  EXPECT_TRUE(h.s.end(1));
  h.pump();
  ASSERT_EQ(h.sent.size(), 2u);
  EXPECT_EQ(h.sent[0].flags, flag::req);
  EXPECT_EQ(h.sent[0].status, 0);
  EXPECT_EQ(h.sent[0].seq, 1u);
  EXPECT_EQ(h.sent[1].kind, kind::end);
  EXPECT_EQ(h.sent[1].seq, 1u);
  h.feed(data_frame_of(1, 1, "an", from_peer) + end_frame_of(1, 2, "swer", from_peer));
  auto got = h.all<data>();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].bytes.text(), "an");
  EXPECT_FALSE(got[0].end);
  EXPECT_TRUE(got[1].end);
  auto end = h.all<ended>();
  ASSERT_EQ(end.size(), 1u);
  EXPECT_TRUE(end[0].closed);
  EXPECT_EQ(end[0].status, 200);
  EXPECT_FALSE(h.s.is_open(1));
  EXPECT_EQ(h.s.inflight(), 0u) << "a stream that ends returns its share";
  EXPECT_EQ(h.s.committed_frames(), 0u);
  EXPECT_EQ(h.s.send(1, text("x")), send_status::no_stream);
}

TEST(OapSession, AnswererSendsDataPushesAndEnd) {
  acceptor_harness h{{.flags = flag::end, .name = "mb.sub"}};
  EXPECT_EQ(h.s.send(1, text("push"), {.push = true}), send_status::sent);
  EXPECT_EQ(h.s.send(1, text("data"), {.status = 206}), send_status::sent);
  EXPECT_EQ(h.s.send(1, text("last"), {.end = true}), send_status::sent);
  h.pump();
  ASSERT_EQ(h.sent.size(), 3u);
  EXPECT_EQ(h.sent[0].flags, flag::event);
  EXPECT_EQ(h.sent[1].flags, flag::resp);
  EXPECT_EQ(h.sent[1].status, 206);
  EXPECT_EQ(h.sent[2].flags, flag::resp | flag::end);
  EXPECT_EQ(h.sent[2].seq, 3u) << "pushes count in the answerer's seq";
  EXPECT_FALSE(h.s.is_open(1));
}

TEST(OapSession, PushesReachTheDialer) {
  dialer_harness h;
  h.feed(data_frame_of(1, 1, "p", {.dir = flag::event}));
  ASSERT_EQ(h.all<data>().size(), 1u);
  EXPECT_TRUE(h.all<data>()[0].push);
}

TEST(OapSession, OpenedCarriesWhatStartSaid) {
  acceptor_harness h;
  h.feed(start_frame_of(7, {.flags = flag::end | flag::app_e2e, .app = 3, .tenant = 9,
                            .xflags = xflag::reply_objects, .name = "o.get", .cap = "token",
                            .args = "{}"}));
  ASSERT_EQ(h.all<opened>().size(), 1u);
  auto o = h.all<opened>()[0];
  EXPECT_EQ(o.corr, 7u);
  EXPECT_EQ(o.app, 3);
  EXPECT_EQ(o.tenant.id[15], 9);
  EXPECT_FALSE(o.objects);
  EXPECT_TRUE(o.reply_objects);
  EXPECT_TRUE(o.half_closed);
  EXPECT_TRUE(o.app_e2e);
  EXPECT_EQ(o.name.text(), "o.get");
  EXPECT_EQ(o.cap.text(), "token");
  EXPECT_EQ(o.args.text(), "{}");
}

TEST(OapSession, DataWithoutBytesTakesASeq) {
  acceptor_harness h;
  h.feed(data_frame_of(1, 1, "") + data_frame_of(1, 2, "x"));
  EXPECT_EQ(h.all<data>().size(), 2u);
  EXPECT_EQ(h.s.send(1, {}), send_status::sent);
  EXPECT_EQ(h.s.inflight(), 1u);
}

TEST(OapSession, SeqStartIsTheOpenersChoice) {
  acceptor_harness h{{.seq = 1000}};
  h.feed(data_frame_of(1, 1001));
  EXPECT_EQ(h.rejects(), 0u);
  dialer_harness d{{.name = "x", .seq_start = 1000}};
  d.s.send(1, text("x"));
  d.pump();
  EXPECT_EQ(d.sent.at(0).seq, 1001u);
}

TEST(OapSession, ObjectsTravelWithTheirIds) {
  core::cid id;
  id.hash.fill(7);
  core::cid other;
  acceptor_harness h{{.flags = flag::end, .xflags = xflag::reply_objects}};
  EXPECT_EQ(h.s.send(1, text("result")), send_status::sent);
  EXPECT_EQ(h.s.send(1, text("object")), send_status::refused) << "the object needs its id";
  EXPECT_EQ(h.s.send(1, text("object"), {.obj = &id, .total = 6}), send_status::sent);
  EXPECT_EQ(h.s.send(1, text("object"), {.obj = &other}), send_status::refused);
  EXPECT_EQ(h.s.send(1, text("object")), send_status::sent);

  dialer_harness d{{.name = "o.get", .reply_objects = true, .end = true}};
  d.feed(data_frame_of(1, 1, "result", from_peer));
  auto o = from_peer;
  o.obj = 7;
  o.total = true;
  d.feed(data_frame_of(1, 2, "object", o));
  auto got = d.all<data>();
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[1].obj, id);
  EXPECT_EQ(got[1].total, 1000u);
}

TEST(OapSession, SendRefusesWhatTheWireForbids) {
  dialer_harness h;
  EXPECT_EQ(h.s.send(1, text("x"), {.push = true}), send_status::refused);
  EXPECT_EQ(h.s.send(1, text("x"), {.raw_len = 9}), send_status::refused) << "no zstd agreed";
  EXPECT_EQ(h.s.send(1, text(std::string(h.s.chunk_max() + 1, 'x'))), send_status::refused);
  core::cid id;
  EXPECT_EQ(h.s.send(1, text("x"), {.obj = &id}), send_status::refused) << "not declared";
  EXPECT_EQ(h.s.send(1, text(std::string(h.s.chunk_max(), 'x'))), send_status::sent);
  EXPECT_GE(h.s.chunk_max(), 65'536u) << "a usual chunk fits with every optional part";
  EXPECT_EQ(h.s.inflight(), 1u);
}

TEST(OapSession, OpenRefusesWhatTheWireForbids) {
  harness h{role::dialer};
  auto code = [&h](const open_request& r) {
    auto got = h.s.open(r);
    return got ? core::ec::none : got.error().code;
  };
  std::string long_text(70'000, 'x');
  core::byte_view long_view{reinterpret_cast<const std::uint8_t*>(long_text.data()), 70'000};
  EXPECT_EQ(code({.app = 0}), core::ec::bad_request);
  EXPECT_EQ(code({.cap = long_view.first(4097)}), core::ec::bad_request);
  EXPECT_EQ(code({.name = "\xff"}), core::ec::bad_request);
  EXPECT_EQ(code({.name = std::string_view{long_text}.substr(0, 256)}), core::ec::bad_request);
  EXPECT_EQ(code({.args = long_view}), core::ec::body_cap);
  EXPECT_EQ(code({.window = 1025}), core::ec::bad_request);
  EXPECT_EQ(code({.seq_start = ~0ull}), core::ec::bad_request);
  EXPECT_EQ(h.s.open_streams(), 0u);
  harness a{role::acceptor};
  EXPECT_FALSE(a.s.open({.name = "x"}));
}

// -- ERROR, cancel, crossing -----------------------------------------------------------

TEST(OapSession, FailSaysWhyWithTheReasonsStatus) {
  acceptor_harness h;
  EXPECT_TRUE(h.s.fail(1, {core::ec::busy, "full", 250}));
  EXPECT_FALSE(h.s.fail(1, {core::ec::busy, "full"}));
  h.pump();
  ASSERT_EQ(h.sent.size(), 1u);
  EXPECT_EQ(h.sent[0].why, static_cast<reason>(0x109));
  EXPECT_EQ(h.sent[0].status, 503);
  EXPECT_EQ(h.sent[0].retry_after_ms, 250u);
  EXPECT_EQ(h.sent[0].text, "full");
  EXPECT_FALSE(h.has<stream_error>()) << "the owner did it";
  EXPECT_EQ(h.rejects(), 0u) << "not a reject";
  acceptor_harness t;
  t.s.fail(1, {core::ec::timeout, "slow"});
  t.pump();
  EXPECT_EQ(t.sent.at(0).status, 504);
}

TEST(OapSession, LongMessagesAreClipped) {
  acceptor_harness h;
  h.s.fail(1, {core::ec::internal, std::string(1023, 'a') + "ä"});
  h.pump();
  EXPECT_EQ(h.sent.at(0).text, std::string(1023, 'a'));
}

TEST(OapSession, ErrorFromTheOpenerIsACancel) {
  acceptor_harness h;
  h.feed(error_frame_of(1, 499, number(reason::cancelled), 3, 1, "changed my mind"));
  auto e = h.all<stream_error>();
  ASSERT_EQ(e.size(), 1u);
  EXPECT_TRUE(e[0].cancelled);
  EXPECT_FALSE(e[0].local);
  EXPECT_EQ(e[0].message.text(), "changed my mind");
  EXPECT_TRUE(h.sent.empty()) << "its receiver never answers it";
  EXPECT_EQ(h.s.send(1, text("x")), send_status::no_stream);
}

TEST(OapSession, CancelSendsOneErrorAndDropsWhatWasInFlight) {
  dialer_harness h;
  EXPECT_TRUE(h.s.cancel(1));
  h.pump();
  ASSERT_EQ(h.sent.size(), 1u);
  EXPECT_EQ(h.sent[0].status, 499);
  EXPECT_EQ(h.sent[0].why, reason::cancelled);
  h.feed(data_frame_of(1, 1, "late", from_peer) + end_frame_of(1, 1, "", from_peer));
  EXPECT_TRUE(h.log.empty());
  EXPECT_EQ(h.rejects(), 0u);
  EXPECT_EQ(h.s.counters().late_frames, 2u);
}

TEST(OapSession, CrossingErrorsAreIgnoredByBoth) {
  dialer_harness h;
  h.s.cancel(1);
  h.pump();
  h.feed(error_frame_of(1, 503, 0x109));
  EXPECT_TRUE(h.log.empty());
  EXPECT_FALSE(h.s.is_closed());
  acceptor_harness a;
  a.s.fail(1, {core::ec::busy, "no"});
  a.pump();
  a.feed(error_frame_of(1, 499, 0x1f0));
  EXPECT_TRUE(a.log.empty());
  EXPECT_FALSE(a.s.is_closed());
}

TEST(OapSession, ErrorAndAckForAClosedStreamAreIgnored) {
  acceptor_harness h;
  h.s.send(1, text("x"));
  h.feed(end_frame_of(1, 0));
  h.s.end(1);
  h.pump();
  h.feed(ack_frame_of(1, 1, 8) + ack_frame_of(1, 99, 8) + error_frame_of(1, 499, 0x1f0));
  EXPECT_EQ(h.rejects(), 0u);
  EXPECT_FALSE(h.s.is_closed());
}

// -- acknowledgements ------------------------------------------------------------------

TEST(OapSession, AcknowledgesEveryHalfWindow) {
  acceptor_harness h;
  for (std::uint64_t q = 1; q <= 3; ++q)
    h.feed(data_frame_of(1, q));
  EXPECT_TRUE(h.frames(kind::ack).empty());
  h.feed(data_frame_of(1, 4));
  auto acks = h.frames(kind::ack);
  ASSERT_EQ(acks.size(), 1u);
  EXPECT_EQ(acks[0].corr, 1u);
  EXPECT_EQ(acks[0].seq, 4u);
  EXPECT_EQ(acks[0].window, 4u) << "four are held by the consumer";
}

TEST(OapSession, AcknowledgesAtEndOnRequestAndNotAfterTheLastEnd) {
  acceptor_harness h;
  h.feed(data_frame_of(1, 1, "x", {.flags = flag::ack_req}));
  EXPECT_EQ(h.frames(kind::ack).size(), 1u);
  h.feed(data_frame_of(1, 2) + end_frame_of(1, 2));
  ASSERT_EQ(h.frames(kind::ack).size(), 2u);
  EXPECT_EQ(h.frames(kind::ack)[1].seq, 2u);

  dialer_harness d{{.name = "x", .end = true}};
  d.feed(data_frame_of(1, 1, "x", from_peer) + end_frame_of(1, 1, "", from_peer));
  EXPECT_TRUE(d.frames(kind::ack).empty()) << "the stream is over";
}

TEST(OapSession, ConsumedFramesOpenTheWindowAgain) {
  acceptor_harness h;
  for (std::uint64_t q = 1; q <= 8; ++q)
    h.feed(data_frame_of(1, q));
  EXPECT_EQ(h.frames(kind::ack).back().seq, 8u) << "up_to is never withheld";
  EXPECT_EQ(h.frames(kind::ack).back().window, 0u);
  h.sent.clear();
  h.s.consumed(1, 8);
  h.pump();
  ASSERT_EQ(h.frames(kind::ack).size(), 1u);
  EXPECT_EQ(h.sent[0].seq, 8u);
  EXPECT_EQ(h.sent[0].window, 8u);
}

TEST(OapSession, PauseStopsNewSendsAndResumeLetsThemGo) {
  acceptor_harness h;
  h.s.pause(1);
  h.pump();
  ASSERT_EQ(h.frames(kind::ack).size(), 1u);
  EXPECT_EQ(h.sent[0].window, 0u);
  h.feed(data_frame_of(1, 1) + data_frame_of(1, 2));
  EXPECT_EQ(h.rejects(), 0u) << "frames in flight stay legal";
  h.s.consumed(1, 2);
  h.pump();
  EXPECT_EQ(h.frames(kind::ack).back().window, 0u);
  h.s.resume(1);
  h.pump();
  EXPECT_EQ(h.frames(kind::ack).back().seq, 2u);
  EXPECT_EQ(h.frames(kind::ack).back().window, 8u);
}

TEST(OapSession, BusyStreamsGetWiderWindowsUpToMaxInflight) {
  acceptor_harness h;
  std::uint64_t seq = 0;
  std::uint32_t widest = 0;
  for (int i = 0; i < 400; ++i) {
    h.s.on_bytes(to_bytes(data_frame_of(1, ++seq)), {});
    h.s.consumed(1);
    h.pump();
    for (const auto& a : h.frames(kind::ack))
      widest = std::max(widest, a.window);
  }
  EXPECT_EQ(widest, 64u);
  EXPECT_LE(h.s.committed_frames(), 64u);
}

TEST(OapSession, WindowsStayWithinTheReceiveBudget) {
  constexpr std::size_t streams = 16;
  harness h{role::acceptor, {.receive_budget = 64 * 66'560}};
  std::map<corr_t, std::uint64_t> seq;
  for (corr_t c = 1; c <= streams; ++c)
    h.feed(start_frame_of(c));
  EXPECT_EQ(h.s.committed_frames(), streams * 8) << "HELLO's window is honoured";
  for (int i = 0; i < 400; ++i)
    for (corr_t c = 1; c <= streams; ++c) {
      h.sent.clear();
      auto limit = seq[c];
      h.feed(data_frame_of(c, ++seq[c]));
      h.s.consumed(c);
      h.pump();
      ASSERT_EQ(h.rejects(), 0u) << limit;
    }
  EXPECT_LE(h.s.committed_frames(), 64u) << "and shrinks to the budget with each ACK";
}

TEST(OapSession, FiveStreamsRoundRobinDoNotDeadlock) {
  // Each stream stays below its own threshold of 16; together they reach max_inflight.
  harness h{role::acceptor, {.ack_window = 32}, R"({"ack_window":32})"};
  for (corr_t c = 1; c <= 5; ++c)
    h.feed(start_frame_of(c, {.window = 32}));
  h.sent.clear();
  for (std::uint64_t q = 1; q <= 100; ++q)
    for (corr_t c = 1; c <= 5; ++c) {
      h.feed(data_frame_of(c, q));
      h.s.consumed(c);
      ASSERT_EQ(h.rejects(), 0u);
    }
  // 500 frames, acknowledged at the latest every 32 of the connection.
  std::map<corr_t, std::uint64_t> up_to;
  for (const auto& a : h.frames(kind::ack))
    up_to[a.corr] = a.seq;
  ASSERT_EQ(up_to.size(), 5u);
  std::uint64_t open = 0;
  for (auto [c, u] : up_to)
    open += 100 - u;
  EXPECT_LT(open, 32u);
}

// -- credit of the sender --------------------------------------------------------------

TEST(OapSession, SendStopsAtTheWindowAndGoesOnAfterAck) {
  dialer_harness h;
  for (int i = 0; i < 8; ++i)
    ASSERT_EQ(h.s.send(1, text("x")), send_status::sent);
  EXPECT_FALSE(h.s.can_send(1));
  EXPECT_EQ(h.s.send(1, text("x")), send_status::would_block);
  EXPECT_EQ(h.s.waiting_streams(), 1u);
  EXPECT_EQ(h.s.counters().window_stalls, 1u);
  h.feed(ack_frame_of(1, 4, 4));
  EXPECT_FALSE(h.has<credit>()) << "no more room than before";
  h.feed(ack_frame_of(1, 8, 1));
  ASSERT_EQ(h.all<credit>().size(), 1u);
  EXPECT_EQ(h.all<credit>()[0].corr, 1u);
  EXPECT_EQ(h.s.waiting_streams(), 0u);
  EXPECT_EQ(h.s.send(1, text("x")), send_status::sent);
  EXPECT_EQ(h.s.send(1, text("x")), send_status::would_block);
  EXPECT_TRUE(h.s.end(1)) << "END without bytes needs no credit";
  EXPECT_EQ(h.s.waiting_streams(), 0u);
}

TEST(OapSession, ShareOfTheConnectionIsServedInTurn) {
  harness h{role::dialer, {}, R"({"max_streams":512})"};
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(h.s.open({.name = "x"}));
  for (corr_t c = 1; c <= 8; ++c)
    for (int i = 0; i < 8; ++i)
      ASSERT_EQ(h.s.send(c, text("x")), send_status::sent);
  EXPECT_EQ(h.s.inflight(), 64u);
  EXPECT_EQ(h.s.send(9, text("x")), send_status::would_block);
  EXPECT_EQ(h.s.send(10, text("x")), send_status::would_block);
  EXPECT_EQ(h.s.counters().inflight_stalls, 2u);
  // One place becomes free: stream 1 may not take it, 9 is first in line.
  h.s.on_bytes(to_bytes(ack_frame_of(1, 1, 8)), {});
  EXPECT_EQ(h.s.send(1, text("x")), send_status::would_block);
  events got;
  ASSERT_TRUE(h.s.take_events(got));
  ASSERT_EQ(got.size(), 1u);
  EXPECT_EQ(std::get<credit>(got[0]).corr, 9u);
  // 9 does not use its turn: the next in line gets it.
  ASSERT_TRUE(h.s.take_events(got));
  EXPECT_EQ(std::get<credit>(got[0]).corr, 10u);
  EXPECT_EQ(h.s.send(10, text("x")), send_status::sent);
  EXPECT_FALSE(h.s.take_events(got)) << "no room is left";
  // A stream that ends returns its share.
  h.s.cancel(2);
  ASSERT_TRUE(h.s.take_events(got));
  EXPECT_EQ(std::get<credit>(got[0]).corr, 1u);
}

TEST(OapSession, OutputIsBounded) {
  dialer_harness h{{.name = "x"}, {.output_bytes_max = 100'000}};
  std::string chunk(60'000, 'x');
  EXPECT_EQ(h.s.send(1, text(chunk)), send_status::sent);
  EXPECT_EQ(h.s.send(1, text(chunk)), send_status::sent);
  EXPECT_EQ(h.s.send(1, text(chunk)), send_status::would_block);
  EXPECT_EQ(h.s.counters().output_stalls, 1u);
  EXPECT_EQ(h.s.open({.name = "y"}).error().code, core::ec::busy);
  EXPECT_LE(h.s.pending_bytes(), 100'000u + 66'560u);
  std::vector<core::bytes> out;
  h.s.take(out);
  events got;
  ASSERT_TRUE(h.s.take_events(got)) << "taking makes credit";
  EXPECT_EQ(h.s.send(1, text(chunk)), send_status::sent);
}

TEST(OapSession, StopsReadingWhenItsAnswersAreNotTaken) {
  harness h{role::acceptor, {.output_bytes_max = 1'000}};
  h.feed(start_frame_of(1));
  corr_t c = 2;
  while (h.s.wants_read() && c < 10'000) {
    h.s.on_bytes(to_bytes(start_frame_of(c, {.flags = flag::end})), {});
    h.s.cancel(c++);
  }
  EXPECT_LT(c, 2'000u);
  EXPECT_LT(h.s.pending_bytes(), 2'000u + 66'560u + 64 * 128u + 200u);
  h.pump();
  EXPECT_TRUE(h.s.wants_read());
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
