#include "oap/harness.hpp"

#include <gtest/gtest.h>

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
            {.max_frame = 200'000,
             .max_streams = 100,
             .max_inflight = 128,
             .ack_window = 16,
             .features = {"x1", "zstd"}}};
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

} // namespace
} // namespace ron::oap::test
