#include "http/machine_script.hpp"

namespace {

using namespace ron;
using namespace ron::http;
using namespace ron::test;
using core::ec;
using namespace std::chrono_literals;
using namespace std::string_literals;

class HttpConnectionMachine : public MachineScript {};

// -- one after the other -----------------------------------------------------------

TEST_F(HttpConnectionMachine, ServesOneRequestAfterTheOther) {
  EXPECT_TRUE(m.wants_read());
  feed(get);
  EXPECT_EQ(took(), "serve /a;");
  EXPECT_FALSE(m.answer_started(now));
  m.answer_finished(now);
  flushed();
  EXPECT_EQ(took(), "");
  EXPECT_TRUE(m.idle());
  feed(get);
  EXPECT_EQ(took(), "serve /a;");
}

TEST_F(HttpConnectionMachine, AHeadMayComeByteByByte) {
  feed_by(1, get + get);
  EXPECT_EQ(took(), "serve /a;");
  answer();
  EXPECT_EQ(took(), "serve /a;");
}

TEST_F(HttpConnectionMachine, LaterHeadsWaitForTheAnswer) {
  feed(get + get + get);
  EXPECT_EQ(took(), "serve /a;");
  EXPECT_FALSE(m.wants_read()) << "something waits already";
  EXPECT_EQ(m.pending(), 2 * get.size());
  answer();
  EXPECT_EQ(took(), "serve /a;");
  answer();
  EXPECT_EQ(took(), "serve /a;");
  EXPECT_TRUE(m.wants_read()) << "to notice a caller that leaves";
}

TEST_F(HttpConnectionMachine, TheNextRequestWaitsUntilTheAnswerIsWithTheKernel) {
  feed(get + get);
  EXPECT_EQ(took(), "serve /a;");
  m.answer_started(now);
  m.answer_finished(now);
  m.written(1, 99, now);
  collect();
  EXPECT_EQ(took(), "");
  m.written(0, 100, now);
  collect();
  EXPECT_EQ(took(), "serve /a;");
}

TEST_F(HttpConnectionMachine, OneEmptyLineBeforeAHeadIsForgiven) {
  feed("\r");
  feed("\n" + get);
  EXPECT_EQ(took(), "serve /a;");
  answer();
  feed("\r\n" + get);
  EXPECT_EQ(took(), "serve /a;");
  answer();
  feed("\r\n\r\n" + get);
  EXPECT_EQ(took(), "refuse bad_request;");
}

TEST_F(HttpConnectionMachine, ABrokenHeadIsRefusedAndTheConnectionEnds) {
  feed("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" + get);
  EXPECT_EQ(took(), "refuse bad_request;");
  EXPECT_FALSE(m.wants_read());
  EXPECT_TRUE(m.answer_started(now));
  m.answer_finished(now);
  flushed();
  EXPECT_EQ(took(), "shut;");
  EXPECT_TRUE(m.wants_read()) << "discarding";
  feed(get);
  EXPECT_EQ(took(), "") << "nothing is served any more";
  end();
  EXPECT_EQ(took(), "close;");
}

TEST_F(HttpConnectionMachine, ALargeHeadIsRefused) {
  feed(std::string(8192, 'A'));
  EXPECT_EQ(took(), "refuse headers_too_large;");
}

// -- bodies ------------------------------------------------------------------------

TEST_F(HttpConnectionMachine, ABodyIsReadOnlyWhenAskedFor) {
  feed(put(10));
  EXPECT_EQ(took(), "serve /a;");
  EXPECT_FALSE(m.wants_read());
  ask();
  EXPECT_TRUE(m.wants_read());
  feed("01234");
  EXPECT_EQ(took(), "piece;");
  EXPECT_FALSE(m.wants_read());
  ask();
  feed("56789" + get);
  EXPECT_EQ(took(), "last;");
  EXPECT_EQ(body, "0123456789");
  answer();
  EXPECT_EQ(took(), "serve /a;");
}

TEST_F(HttpConnectionMachine, ABodyThatCameWithItsHeadIsThereAtOnce) {
  feed(put(3) + "abc");
  took();
  ask();
  EXPECT_EQ(took(), "last;");
  EXPECT_EQ(body, "abc");
  ask();
  EXPECT_EQ(took(), "last;") << "asking again tells the same";
}

TEST_F(HttpConnectionMachine, ARequestWithoutBodyHasAnEmptyLastPiece) {
  feed(get);
  took();
  ask();
  EXPECT_EQ(took(), "last;");
}

TEST_F(HttpConnectionMachine, PiecesAreBoundedAndSmallChunksGathered) {
  std::string wire;
  for (int i = 0; i < 20'000; ++i)
    wire += "3\r\nabc\r\n";
  wire += "0\r\n\r\n";
  feed(chunked + wire.substr(0, 100'000));
  took();
  ask();
  EXPECT_EQ(pieces, 1u);
  EXPECT_GT(largest, 30'000u);
  while (log.find("last") == std::string::npos) {
    if (m.wants_read())
      feed(wire.substr(100'000));
    else
      ask();
  }
  EXPECT_EQ(body.size(), 60'000u);
  EXPECT_LE(largest, machine::piece_max);
  EXPECT_LE(pieces, 4u);
}

TEST_F(HttpConnectionMachine, LargeReadsAreCutIntoPieces) {
  feed(put(200'000));
  took();
  ask();
  feed(std::string(131'072, 'x'));
  while (!m.wants_read())
    ask();
  feed(std::string(200'000 - 131'072, 'y'));
  while (log.find("last") == std::string::npos)
    ask();
  EXPECT_EQ(body, std::string(131'072, 'x') + std::string(200'000 - 131'072, 'y'));
  EXPECT_LE(largest, machine::piece_max);
}

TEST_F(HttpConnectionMachine, ChunksMayComeByteByByte) {
  feed(chunked);
  ask();
  for (char c : std::string{"5;x=y\r\nhello\r\n3\r\nabc\r\n0\r\nT: 1\r\n\r\n"}) {
    feed({&c, 1});
    if (!m.wants_read())
      ask();
  }
  EXPECT_EQ(body, "helloabc");
  EXPECT_NE(took().find("last"), std::string::npos);
}

TEST_F(HttpConnectionMachine, ABrokenBodyFailsAndTheConnectionEnds) {
  feed(chunked + "zz\r\n" + get);
  took();
  ask();
  EXPECT_EQ(took(), "failed bad_request;");
  ask();
  EXPECT_EQ(took(), "failed bad_request;");
  answer();
  EXPECT_EQ(took(), "shut;");
}

TEST_F(HttpConnectionMachine, ContinueIsSentWhenTheBodyIsFirstWanted) {
  feed(put(3, "Expect: 100-continue\r\n"));
  EXPECT_EQ(took(), "serve /a;");
  ask();
  EXPECT_EQ(took(), "continue;");
  feed("abc");
  EXPECT_EQ(took(), "last;");
  answer();
  EXPECT_TRUE(m.idle()) << "the connection goes on";
}

TEST_F(HttpConnectionMachine, ContinueIsNotSentToAPeerThatDidNotWait) {
  feed(put(3, "Expect: 100-continue\r\n") + "a");
  took();
  ask();
  EXPECT_EQ(took(), "piece;");
  ask();
  EXPECT_EQ(took(), "");
}

TEST_F(HttpConnectionMachine, AnErrorInsteadOfContinueEndsTheConnection) {
  feed(put(3, "Expect: 100-continue\r\n"));
  took();
  EXPECT_TRUE(m.answer_started(now));
  m.answer_finished(now);
  flushed();
  EXPECT_EQ(took(), "shut;");
}

// -- the end -------------------------------------------------------------------------

TEST_F(HttpConnectionMachine, TheLastAnswerSaysSo) {
  feed("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_TRUE(m.answer_started(now));
  m.answer_finished(now);
  flushed();
  EXPECT_EQ(took(), "serve /;shut;");
  end();
  EXPECT_EQ(took(), "close;");
  EXPECT_TRUE(m.closed());
}

TEST_F(HttpConnectionMachine, AnOldClientGetsOneAnswer) {
  feed("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
  EXPECT_TRUE(m.answer_started(now));
}

TEST_F(HttpConnectionMachine, AnEarlyAnswerDiscardsABoundedRest) {
  feed(put(1 << 30) + "x");
  took();
  answer();
  EXPECT_EQ(took(), "shut;");
  std::size_t fed = 1;
  while (!m.closed()) {
    ASSERT_TRUE(m.wants_read());
    feed(std::string(65'536, 'x'));
    fed += 65'536;
  }
  EXPECT_EQ(took(), "close;");
  EXPECT_LE(fed, limits.discard_max + 65'537);
}

TEST_F(HttpConnectionMachine, DiscardingEndsAfterItsTime) {
  feed(put(1 << 30));
  answer();
  took();
  EXPECT_EQ(m.wake_at(), t0 + 1s);
  at(t0 + 999ms);
  EXPECT_EQ(took(), "");
  at(t0 + 1s);
  EXPECT_EQ(took(), "close;");
}

TEST_F(HttpConnectionMachine, TheDiscardClockStartsWhenTheAnswerIsOut) {
  feed(put(1 << 30));
  m.answer_started(now);
  m.answer_finished(now);
  m.written(5, 10, now);
  collect();
  EXPECT_EQ(took(), "serve /a;shut;");
  at(t0 + 5s);
  EXPECT_FALSE(m.closed());
  flushed();
  EXPECT_EQ(m.wake_at(), t0 + 6s);
}

TEST_F(HttpConnectionMachine, AnIdlePeerThatLeavesIsNoEvent) {
  end();
  EXPECT_EQ(took(), "close;");
}

TEST_F(HttpConnectionMachine, HalfAHeadIsNoRequest) {
  feed("GET /a HT");
  end();
  EXPECT_EQ(took(), "close;");
}

TEST_F(HttpConnectionMachine, AHalfClosedPeerStillGetsItsAnswers) {
  feed(get + get);
  end();
  EXPECT_EQ(took(), "serve /a;");
  EXPECT_TRUE(m.answer_started(now));
  m.answer_finished(now);
  flushed();
  EXPECT_EQ(took(), "shut;close;");
}

TEST_F(HttpConnectionMachine, APeerThatLeavesInTheMiddleOfItsBodyIsGone) {
  feed(put(10) + "abc");
  took();
  ask();
  took();
  ask();
  end();
  EXPECT_EQ(took(), "gone;close;");
}

TEST_F(HttpConnectionMachine, ABrokenLinkMeansTheCallerIsGone) {
  feed(get);
  took();
  m.failed();
  collect();
  EXPECT_EQ(took(), "gone;close;");
  m.failed();
  collect();
  EXPECT_EQ(took(), "") << "once";
}

TEST_F(HttpConnectionMachine, AWaiterThatStopsSendingIsGone) {
  feed(get);
  took();
  m.expect_answer(t0 + 30s, true);
  end();
  EXPECT_EQ(took(), "gone;close;");
}

TEST_F(HttpConnectionMachine, AbortCutsAtOnce) {
  feed(get);
  took();
  m.answer_started(now);
  m.abort();
  collect();
  EXPECT_EQ(took(), "close;");
  m.answer_finished(now);
  flushed();
  EXPECT_EQ(took(), "");
}

TEST_F(HttpConnectionMachine, DrainEndsIdleConnectionsAndLetsRequestsFinish) {
  feed(get);
  took();
  m.drain();
  collect();
  EXPECT_EQ(took(), "");
  EXPECT_TRUE(m.answer_started(now));
  machine other{limits, t0};
  other.drain();
  EXPECT_TRUE(other.closed());
}

} // namespace
