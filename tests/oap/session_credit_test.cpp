#include "oap/harness.hpp"

#include <gtest/gtest.h>

#include <map>

/// Credit in a session: who is acknowledged when, and who may send next.
namespace ron::oap::test {
namespace {

core::bytes text(std::string_view s) {
  return core::bytes::copy(s);
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

TEST(OapSession, RoomCanBeAskedForBeforeThereIsAnythingToSend) {
  dialer_harness h;
  EXPECT_EQ(h.s.ask_room(1), 8u);
  EXPECT_EQ(h.s.ask_room(99), 0u) << "not open";
  for (int i = 0; i < 8; ++i)
    ASSERT_EQ(h.s.send(1, text("x")), send_status::sent);
  EXPECT_EQ(h.s.ask_room(1), 0u);
  EXPECT_EQ(h.s.waiting_streams(), 1u);
  h.feed(ack_frame_of(1, 8, 3));
  ASSERT_EQ(h.all<credit>().size(), 1u) << "named as after a send that would block";
  EXPECT_EQ(h.s.ask_room(1), 3u);
  EXPECT_TRUE(h.s.end(1));
  EXPECT_EQ(h.s.ask_room(1), 0u);
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

} // namespace
} // namespace ron::oap::test
