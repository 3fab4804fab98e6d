#include "oap/harness.hpp"

#include <gtest/gtest.h>

/// Every fine detail of the reject table, as a stateful script: bucket, scope, the one ERROR, and
/// what is left afterwards.
namespace ron::oap::test {
namespace {

constexpr std::uint64_t last_seq = ~0ull;

// -- connection scope ----------------------------------------------------------------

TEST(OapReject, Oversize) {
  harness h{role::acceptor};
  h.feed({0x00, 0x01, 0x04, 0x01}); // 66,561 against the agreed 66,560
  h.expect_connection_reject(reason::oversize);
}

TEST(OapReject, OversizeBeforeHelloIsMoreThan16422) {
  harness h{role::acceptor, {.max_frame = 1u << 20}, ""};
  h.feed({0x00, 0x00, 0x40, 0x27});
  h.expect_connection_reject(reason::oversize);
  harness ok{role::acceptor, {}, ""};
  ok.feed({0x00, 0x00, 0x40, 0x26});
  EXPECT_FALSE(ok.s.is_closed());
}

TEST(OapReject, BadVersion) {
  harness h{role::acceptor};
  auto w = start_frame_of(1);
  w[off::ver + 1] = 2;
  h.feed(w);
  h.expect_connection_reject(reason::bad_version);
}

TEST(OapReject, BadHello) {
  for (auto json : {"", "[]", "{", R"({"versions":[2]})", R"({"max_frame":66559})",
                    R"({"max_inflight":63})", R"({"max_streams":63})", R"({"ack_window":7})",
                    R"({"max_frame":"66560"})", R"({"features":{}})", R"({"ua":1})",
                    R"({"ua":"a","ua":"a"})", R"({"max_frame":1e5})", R"({"versions":1})"}) {
    harness h{role::acceptor, {}, ""};
    h.feed(hello_frame(true, json));
    h.expect_connection_reject(reason::bad_hello);
  }
}

TEST(OapReject, BadFlags) {
  harness h{role::acceptor};
  auto w = start_frame_of(1);
  w[off::flags] = 1;
  h.feed(w);
  h.expect_connection_reject(reason::bad_flags);
}

TEST(OapReject, BadFlagsOnAnError) {
  acceptor_harness h;
  auto w = error_frame_of(1, 499, 0x1f0);
  w[off::flags + 1] |= static_cast<std::uint8_t>(flag::app_e2e);
  h.feed(w);
  h.expect_connection_reject(reason::bad_flags);
}

TEST(OapReject, CapOnNonStart) {
  acceptor_harness h;
  raw r{.flags = flag::req, .code = code_ext, .app = 1, .corr = 1, .cap = "cap"};
  h.feed(r.build());
  h.expect_connection_reject(reason::cap_on_non_start);
}

TEST(OapReject, CapBounds) {
  harness h{role::acceptor};
  h.feed(start_frame_of(1, {.cap = std::string(4097, 'c')}));
  h.expect_connection_reject(reason::cap_bounds);
}

TEST(OapReject, BadExt) {
  harness h{role::acceptor};
  h.feed(start_frame_of(1, {.xflags = 4}));
  h.expect_connection_reject(reason::bad_ext);
}

TEST(OapReject, BadExtWhenX1HasNoBlock) {
  harness h{role::acceptor};
  h.feed(raw{.flags = flag::req | flag::start, .app = 1, .corr = 1}.build());
  h.expect_connection_reject(reason::bad_ext);
}

TEST(OapReject, BadCompWithoutZstd) {
  acceptor_harness h;
  h.feed(data_frame_of(1, 1, "zz", {.flags = flag::comp, .raw_len = 9}));
  h.expect_connection_reject(reason::bad_comp);
}

TEST(OapReject, UnknownEnvelope) {
  acceptor_harness h;
  h.feed(data_frame_of(1, 1, "x", {.dir = 0}));
  h.expect_connection_reject(reason::unknown_envelope);
  EXPECT_EQ(h.all<stream_error>().size(), 1u) << "open streams end with the connection";
}

TEST(OapReject, Inflight) {
  // 9 streams of 8 frames each, and no ACK has left yet: the peer cannot have been told of room.
  session s{role::acceptor, {}};
  s.on_bytes(to_bytes(hello_frame(true)), {});
  wire w;
  for (corr_t c = 1; c <= 9; ++c) {
    w = w + start_frame_of(c);
    for (std::uint64_t q = 1; q <= 8; ++q)
      w = w + data_frame_of(c, q);
  }
  s.on_bytes(to_bytes(w), {});
  events out;
  s.take_events(out);
  EXPECT_EQ(std::get<closed>(out.back()).why, reason::inflight);
  EXPECT_EQ(s.counters().rejects[static_cast<std::size_t>(bucket::credit_violation)], 1u);
  EXPECT_EQ(std::ranges::count_if(out, [](auto& e) { return std::holds_alternative<data>(e); }),
            64);
}

TEST(OapReject, InflightForLateFramesBeyondTheAllowance) {
  acceptor_harness h;
  h.feed(data_frame_of(1, 1) + data_frame_of(1, 2));
  h.s.fail(1, {core::ec::busy, "no"});
  h.pump();
  ASSERT_EQ(h.frames(kind::error).size(), 1u);
  // G is 8 and was not raised since; R is 2: six frames may have been on their way.
  auto allowance = h.s.counters().late_frames;
  EXPECT_EQ(allowance, 0u);
  std::uint64_t seq = 3;
  while (!h.s.is_closed() && seq < 100)
    h.feed(data_frame_of(1, seq++));
  EXPECT_EQ(h.s.counters().late_frames, 6u);
  EXPECT_EQ(h.rejects(bucket::credit_violation), 1u);
  EXPECT_EQ(h.all<closed>().at(0).why, reason::inflight);
}

TEST(OapReject, LateEndAndOneErrorAreAllowedOnce) {
  acceptor_harness h;
  h.s.cancel(1);
  h.pump();
  h.feed(end_frame_of(1, 0) + error_frame_of(1, 499, 0x1f0));
  EXPECT_FALSE(h.s.is_closed());
  EXPECT_EQ(h.rejects(), 0u);
  h.feed(error_frame_of(1, 499, 0x1f0));
  EXPECT_TRUE(h.s.is_closed());
  EXPECT_EQ(h.rejects(bucket::credit_violation), 1u);
}

TEST(OapReject, TruncatedInsideAFrame) {
  harness h{role::acceptor};
  auto w = start_frame_of(1);
  w.resize(w.size() - 1);
  h.feed(w);
  EXPECT_EQ(h.rejects(), 0u);
  EXPECT_TRUE(h.log.empty());
  h.s.on_eof(true);
  h.pump();
  h.expect_connection_reject(reason::truncated);
}

TEST(OapReject, TruncatedWithOpenStreamsCountsOnce) {
  for (bool clean : {true, false}) {
    acceptor_harness h;
    h.feed(start_frame_of(2));
    h.log.clear();
    h.s.on_eof(clean);
    h.pump();
    EXPECT_EQ(h.rejects(), 1u);
    EXPECT_EQ(h.rejects(bucket::truncated), 1u);
    EXPECT_EQ(h.all<stream_error>().size(), 2u);
    EXPECT_EQ(h.all<closed>().size(), 1u);
    EXPECT_EQ(h.frames(kind::error).size(), clean ? 1u : 0u) << "nobody reads after a reset";
    h.s.on_eof(clean);
    h.pump();
    EXPECT_EQ(h.rejects(), 1u);
  }
}

TEST(OapReject, EofBetweenFramesIsClean) {
  for (bool clean : {true, false}) {
    harness h{role::acceptor};
    h.s.on_eof(clean);
    h.pump();
    EXPECT_EQ(h.rejects(), 0u);
    EXPECT_EQ(h.all<closed>().at(0).why, reason::none);
    EXPECT_TRUE(h.sent.empty());
  }
}

TEST(OapReject, StateConnBeforeHello) {
  for (const auto& w : {start_frame_of(1), ack_frame_of(1, 0, 8), error_frame_of(0, 503, 0x1f1)}) {
    harness h{role::acceptor, {}, ""};
    h.feed(w);
    h.expect_connection_reject(reason::state_conn);
  }
}

TEST(OapReject, StateConnForASecondHello) {
  harness h{role::acceptor};
  h.feed(hello_frame(true));
  h.expect_connection_reject(reason::state_conn);
}

TEST(OapReject, StateConnForTheWrongDirection) {
  {
    harness h{role::acceptor, {}, ""};
    h.feed(hello_frame(false));
    h.expect_connection_reject(reason::state_conn);
  }
  {
    acceptor_harness h;
    h.feed(data_frame_of(1, 1, "x", from_peer));
    h.expect_connection_reject(reason::state_conn);
  }
  {
    acceptor_harness h;
    h.feed(data_frame_of(1, 1, "x", {.dir = flag::event}));
    h.expect_connection_reject(reason::state_conn);
  }
  {
    dialer_harness h;
    h.feed(start_frame_of(2));
    h.expect_connection_reject(reason::state_conn);
  }
  {
    dialer_harness h;
    h.feed(data_frame_of(1, 1));
    h.expect_connection_reject(reason::state_conn);
  }
}

TEST(OapReject, StateConnForACorrThatWasNeverOpened) {
  for (const auto& w : {data_frame_of(9, 1), end_frame_of(9, 0), error_frame_of(9, 499, 0x1f0)}) {
    acceptor_harness h;
    h.feed(w);
    h.expect_connection_reject(reason::state_conn);
  }
  dialer_harness h;
  h.feed(data_frame_of(2, 1, "x", from_peer));
  h.expect_connection_reject(reason::state_conn);
}

TEST(OapReject, BadLength) {
  harness h{role::acceptor};
  h.feed({0, 0, 0, 37});
  h.expect_connection_reject(reason::bad_length);
}

TEST(OapReject, AckUnopened) {
  acceptor_harness h;
  h.feed(ack_frame_of(2, 0, 8));
  h.expect_connection_reject(reason::ack_unopened);
}

// -- stream scope --------------------------------------------------------------------

TEST(OapReject, StateStreamForADuplicateStart) {
  acceptor_harness h;
  h.feed(start_frame_of(1));
  h.expect_stream_reject(1, reason::state_stream);
}

TEST(OapReject, StateStreamForAStartBelowTheLast) {
  harness h{role::acceptor};
  h.feed(start_frame_of(5));
  h.feed(start_frame_of(3));
  h.expect_stream_reject(3, reason::state_stream, false);
  EXPECT_TRUE(h.s.is_open(5));
}

TEST(OapReject, StateStreamOnAClosedHalf) {
  acceptor_harness data_after_end;
  data_after_end.feed(end_frame_of(1, 0));
  data_after_end.feed(data_frame_of(1, 1));
  data_after_end.expect_stream_reject(1, reason::state_stream);

  acceptor_harness replayed_end;
  replayed_end.feed(end_frame_of(1, 0));
  replayed_end.feed(end_frame_of(1, 0));
  replayed_end.expect_stream_reject(1, reason::state_stream);

  acceptor_harness never_opened{{.flags = flag::end}};
  never_opened.feed(data_frame_of(1, 1));
  never_opened.expect_stream_reject(1, reason::state_stream);
}

TEST(OapReject, StateStreamOnAClosedStream) {
  acceptor_harness h;
  h.feed(end_frame_of(1, 0));
  h.s.end(1);
  h.pump();
  h.feed(end_frame_of(1, 0));
  h.expect_stream_reject(1, reason::state_stream, false);
}

TEST(OapReject, StateStreamForAnotherAppOrTenant) {
  for (const auto& w : {data_frame_of(1, 1, "x", {.app = 2}), end_frame_of(1, 0, "", {.app = 2}),
                        data_frame_of(1, 1, "x", {.tenant = 8}), error_frame_of(1, 499, 0, 0, 2)}) {
    acceptor_harness h{{.tenant = 7}};
    h.feed(w);
    h.expect_stream_reject(1, reason::state_stream);
  }
  acceptor_harness h{{.tenant = 7}};
  h.feed(data_frame_of(1, 1, "x", {.tenant = 7}) + data_frame_of(1, 2, "x", {.tenant = 0}));
  EXPECT_EQ(h.rejects(), 0u);
}

TEST(OapReject, DupSeq) {
  acceptor_harness h;
  h.feed(data_frame_of(1, 1));
  h.feed(data_frame_of(1, 1));
  h.expect_stream_reject(1, reason::dup_seq);
}

TEST(OapReject, SeqGap) {
  acceptor_harness gap;
  gap.feed(data_frame_of(1, 2));
  gap.expect_stream_reject(1, reason::seq_gap);

  acceptor_harness empty_end;
  empty_end.feed(data_frame_of(1, 1));
  empty_end.feed(end_frame_of(1, 2));
  empty_end.expect_stream_reject(1, reason::seq_gap);

  acceptor_harness end_with_bytes;
  end_with_bytes.feed(end_frame_of(1, 2, "bytes"));
  end_with_bytes.expect_stream_reject(1, reason::seq_gap);
}

TEST(OapReject, SeqGapAtTheEndOfNumbers) {
  acceptor_harness h{{.seq = last_seq - 2}};
  h.feed(data_frame_of(1, last_seq - 1));
  EXPECT_EQ(h.rejects(), 0u);
  h.feed(data_frame_of(1, last_seq));
  h.expect_stream_reject(1, reason::seq_gap);

  harness start{role::acceptor};
  start.feed(start_frame_of(1, {.seq = last_seq}));
  start.expect_stream_reject(1, reason::seq_gap, false);
}

TEST(OapReject, WindowOverrun) {
  acceptor_harness h;
  for (std::uint64_t q = 1; q <= 8; ++q)
    h.feed(data_frame_of(1, q));
  EXPECT_EQ(h.rejects(), 0u);
  h.feed(data_frame_of(1, 9)); // nothing was consumed, so nothing more was granted
  h.expect_stream_reject(1, reason::window_overrun);
}

TEST(OapReject, AckRollback) {
  acceptor_harness h;
  for (int i = 0; i < 3; ++i)
    h.s.send(1, core::bytes::literal("x"));
  h.pump();
  h.feed(ack_frame_of(1, 2, 8));
  h.feed(ack_frame_of(1, 2, 4));
  EXPECT_EQ(h.rejects(), 0u) << "the same up_to only changes the window";
  h.sent.clear();
  h.feed(ack_frame_of(1, 1, 8));
  h.expect_stream_reject(1, reason::ack_rollback);
}

TEST(OapReject, AckOvershoot) {
  acceptor_harness h;
  h.s.send(1, core::bytes::literal("x"));
  h.pump();
  h.sent.clear();
  h.feed(ack_frame_of(1, 2, 8));
  h.expect_stream_reject(1, reason::ack_overshoot);
}

TEST(OapReject, MissingObj) {
  acceptor_harness h{{.xflags = xflag::objects}};
  h.feed(data_frame_of(1, 1, ""));
  EXPECT_EQ(h.rejects(), 0u) << "no bytes, no object";
  h.feed(data_frame_of(1, 2, "x"));
  h.expect_stream_reject(1, reason::missing_obj);
}

TEST(OapReject, MissingObjInTheAnswerAfterItsResult) {
  dialer_harness h{{.name = "o.get", .reply_objects = true, .end = true}};
  h.feed(data_frame_of(1, 1, "result", from_peer));
  EXPECT_EQ(h.rejects(), 0u);
  h.feed(data_frame_of(1, 2, "object", from_peer));
  h.expect_stream_reject(1, reason::missing_obj);
}

// Nine streams with OBJECTS; `n` frames of eight of them are taken off the wire, no ACK is written.
harness with_frames_in_flight(int n) {
  harness h{role::acceptor};
  wire w;
  for (corr_t corr = 1; corr <= 9; ++corr)
    w = w + start_frame_of(corr, {.xflags = xflag::objects});
  for (int i = 0; i < n; ++i)
    w = w + data_frame_of(static_cast<corr_t>(1 + i / 8), static_cast<std::uint64_t>(1 + i % 8),
                          "x", {.obj = 7});
  h.s.on_bytes(to_bytes(w), h.now);
  return h;
}

TEST(OapReject, AFrameRefusedForItsObjectGivesNoShareBack) {
  auto h = with_frames_in_flight(62);
  h.s.on_bytes(to_bytes(data_frame_of(9, 1, "x")), h.now); // missing_obj
  EXPECT_EQ(h.rejects(bucket::missing_obj), 1u);
  h.s.on_bytes(to_bytes(data_frame_of(8, 7, "x") + data_frame_of(8, 8, "x")), h.now);
  EXPECT_EQ(h.rejects(), 1u) << "64 frames";
  h.s.on_bytes(to_bytes(start_frame_of(10) + data_frame_of(10, 1, "x")), h.now);
  EXPECT_EQ(h.rejects(bucket::credit_violation), 1u) << "the 65th";
  EXPECT_TRUE(h.s.is_closed());
}

TEST(OapReject, CreditIsLookedAtBeforeTheObject) {
  auto h = with_frames_in_flight(64);
  h.feed(data_frame_of(9, 1, "x"));
  h.expect_connection_reject(reason::inflight);
}

TEST(OapReject, ObjForm) {
  acceptor_harness other{{.xflags = xflag::objects}};
  other.feed(data_frame_of(1, 1, "x", {.obj = 5}) + data_frame_of(1, 2, "x")
             + data_frame_of(1, 3, "x", {.obj = 5}));
  EXPECT_EQ(other.rejects(), 0u);
  other.feed(data_frame_of(1, 4, "x", {.obj = 6}));
  other.expect_stream_reject(1, reason::obj_form);

  acceptor_harness undeclared;
  undeclared.feed(data_frame_of(1, 1, "x", {.obj = 5}));
  undeclared.expect_stream_reject(1, reason::obj_form);
}

TEST(OapReject, InflateBound) {
  harness h{role::acceptor, {.features = {"x1", "zstd"}}, R"({"features":["zstd"]})"};
  h.feed(start_frame_of(1));
  h.feed(data_frame_of(1, 1, "zz", {.flags = flag::comp, .raw_len = (8u << 20) + 1}));
  h.expect_stream_reject(1, reason::inflate_bound);
  h.feed(start_frame_of(2));
  EXPECT_TRUE(h.s.is_open(2)) << "the frames behind it are read";
}

TEST(OapReject, InflateBoundOnNoStreamEndsTheConnection) {
  harness h{role::acceptor, {.features = {"x1", "zstd"}}, R"({"features":["zstd"]})"};
  h.feed(data_frame_of(1, 1, "zz", {.flags = flag::comp, .raw_len = (8u << 20) + 1}));
  h.expect_connection_reject(reason::inflate_bound);
}

TEST(OapReject, InflateBoundFoundByTheConsumer) {
  acceptor_harness h;
  h.s.breach(1, reason::inflate_bound);
  h.pump();
  h.expect_stream_reject(1, reason::inflate_bound);
}

// -- after an ERROR ------------------------------------------------------------------

TEST(OapReject, IsCountedNotAnsweredOnAnErroredCorr) {
  acceptor_harness sent;
  sent.feed(data_frame_of(1, 5));
  EXPECT_EQ(sent.rejects(), 1u);
  sent.feed(start_frame_of(1));
  EXPECT_EQ(sent.rejects(), 2u);
  EXPECT_EQ(sent.frames(kind::error).size(), 1u);

  acceptor_harness received;
  received.feed(error_frame_of(1, 499, 0x1f0));
  received.feed(data_frame_of(1, 1));
  EXPECT_EQ(received.rejects(bucket::header_malformed), 1u);
  EXPECT_TRUE(received.sent.empty());
  EXPECT_FALSE(received.s.is_closed());
}

TEST(OapReject, OnlyTheLast1024ErroredCorrsAreRemembered) {
  harness h{role::acceptor};
  for (corr_t c = 1; c <= 1025; ++c) {
    h.now += std::chrono::milliseconds{20};
    h.feed(start_frame_of(c, {.flags = flag::end}));
    h.s.cancel(c);
    h.pump();
  }
  h.sent.clear();
  h.feed(error_frame_of(1, 499, 0x1f0) + error_frame_of(1, 499, 0x1f0));
  EXPECT_FALSE(h.s.is_closed()) << "forgotten: an ERROR for a closed corr is ignored";
  h.feed(error_frame_of(2, 499, 0x1f0) + error_frame_of(2, 499, 0x1f0));
  EXPECT_TRUE(h.s.is_closed()) << "remembered: one may cross, not two";
}

} // namespace
} // namespace ron::oap::test
