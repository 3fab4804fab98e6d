#include "transport/http/connection_machine.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace {

using namespace ron;
using namespace ron::http;
using core::ec;
using namespace std::chrono_literals;
using namespace std::string_literals;
using machine = connection_machine;

constexpr core::instant t0{1'000s};

const std::string get = "GET /a HTTP/1.1\r\nHost: a\r\n\r\n";
const std::string chunked = "PUT /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

std::string put(std::size_t length, const std::string& more = {}) {
  return "PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(length) + "\r\n" + more
         + "\r\n";
}

/// Drives a machine by script and writes down what it does in short words.
class HttpConnectionMachine : public ::testing::Test {
public:
  explicit HttpConnectionMachine(connection_limits l = {}) : limits(l), m(l, t0) {}

  void feed(std::string_view text) {
    m.received(core::bytes::copy(text), now);
    collect();
  }
  void feed_by(std::size_t step, std::string_view text) {
    for (; !text.empty(); text.remove_prefix(std::min(step, text.size())))
      feed(text.substr(0, step));
  }
  void at(core::instant t) {
    now = t;
    m.tick(now);
    collect();
  }
  void ask() {
    m.ask_body(now);
    collect();
  }
  /// Answers with everything taken by the kernel at once.
  void answer() {
    m.answer_started(now);
    m.answer_finished(now);
    flushed();
  }
  void flushed() {
    m.written(0, sent += 100, now);
    collect();
  }
  void end() {
    m.ended(now);
    collect();
  }
  void collect() {
    while (auto a = m.next())
      std::visit([this](auto& x) { note(x); }, *a);
  }
  void note(machine::serve& s) {
    log += "serve " + std::string{s.head.target} + ";";
  }
  void note(machine::refuse& r) { log += "refuse " + std::string{to_string(r.why.code)} + ";"; }
  void note(machine::send_continue&) { log += "continue;"; }
  void note(machine::body& b) {
    body += b.data.text();
    largest = std::max(largest, b.data.size());
    ++pieces;
    log += b.last ? "last;" : "piece;";
  }
  void note(machine::body_failed& f) { log += "failed " + std::string{to_string(f.why.code)} + ";"; }
  void note(machine::expired& e) { log += "expired " + std::string{to_string(e.why.code)} + ";"; }
  void note(machine::gone&) { log += "gone;"; }
  void note(machine::shut&) { log += "shut;"; }
  void note(machine::close&) { log += "close;"; }
  std::string took() { return std::exchange(log, {}); }

  connection_limits limits;
  machine m;
  core::instant now = t0;
  std::uint64_t sent = 0;
  std::string log;
  std::string body;
  std::size_t largest = 0;
  std::size_t pieces = 0;
};

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

// -- time ----------------------------------------------------------------------------

TEST_F(HttpConnectionMachine, ASilentPeerIsClosedAtTheHeaderTimeout) {
  EXPECT_EQ(m.wake_at(), t0 + 5s);
  at(t0 + 5s - 1ns);
  EXPECT_FALSE(m.closed());
  at(t0 + 5s);
  EXPECT_EQ(took(), "close;");
}

TEST_F(HttpConnectionMachine, ASlowHeadIsRefused) {
  for (int i = 0; i < 40; ++i) {
    at(t0 + i * 100ms);
    feed(i < 4 ? "GET "s.substr(static_cast<std::size_t>(i), 1) : "/");
  }
  EXPECT_EQ(m.wake_at(), t0 + 5s) << "drops do not extend the deadline";
  at(t0 + 5s);
  EXPECT_EQ(took(), "refuse timeout;");
}

TEST_F(HttpConnectionMachine, BetweenRequestsTheIdleTimeoutCounts) {
  feed(get);
  now = t0 + 1s;
  answer();
  took();
  EXPECT_EQ(m.wake_at(), t0 + 61s);
  now = t0 + 50s;
  feed("GET");
  EXPECT_EQ(m.wake_at(), t0 + 55s) << "a head that has begun has its own time";
  at(t0 + 55s);
  EXPECT_EQ(took(), "refuse timeout;");
}

TEST_F(HttpConnectionMachine, AnAnswerMustBeginInTime) {
  feed(get);
  took();
  EXPECT_EQ(m.wake_at(), t0 + 5s);
  at(t0 + 5s);
  EXPECT_EQ(took(), "expired downstream_timeout;");
  EXPECT_FALSE(m.wake_at()) << "said once";
  at(t0 + 9s);
  EXPECT_EQ(took(), "");
  answer();
  EXPECT_TRUE(m.idle());
}

TEST_F(HttpConnectionMachine, TheCallersDeadlineCountsWhenItIsEarlier) {
  feed(get);
  took();
  m.expect_answer(t0 + 200ms, false);
  EXPECT_EQ(m.wake_at(), t0 + 200ms);
  at(t0 + 200ms);
  EXPECT_EQ(took(), "expired downstream_timeout;");
}

TEST_F(HttpConnectionMachine, AWaiterHasItsOwnDeadline) {
  feed(get);
  took();
  m.expect_answer(t0 + 35s, true);
  at(t0 + 34s);
  EXPECT_EQ(took(), "");
  at(t0 + 35s);
  EXPECT_EQ(took(), "expired downstream_timeout;");
}

TEST_F(HttpConnectionMachine, EachPieceOfABodyGivesNewTime) {
  feed(put(10));
  took();
  ask();
  at(t0 + 9s);
  EXPECT_EQ(took(), "") << "it is the peer's turn";
  feed("01234");
  EXPECT_EQ(m.wake_at(), t0 + 14s) << "now it is ours";
  at(t0 + 14s);
  EXPECT_EQ(took(), "piece;expired downstream_timeout;");
}

TEST_F(HttpConnectionMachine, ASlowBodyFails) {
  feed(put(1 << 20));
  took();
  ask();
  EXPECT_EQ(m.wake_at(), t0 + 10s);
  for (int i = 1; i < 10; ++i) {
    at(t0 + i * 1s);
    feed("x");
    ask();
  }
  EXPECT_FALSE(m.closed());
  took();
  at(t0 + 10s);
  EXPECT_EQ(took(), "failed timeout;");
  answer();
  EXPECT_EQ(took(), "shut;");
}

TEST_F(HttpConnectionMachine, ABodyAtTheFloorPasses) {
  feed(put(1 << 20));
  took();
  for (int i = 1; i <= 100; ++i) {
    ask();
    at(t0 + i * 1s);
    ASSERT_EQ(log.find("failed"), std::string::npos);
    feed(std::string(1'200, 'x'));
  }
}

TEST_F(HttpConnectionMachine, ASlowReaderIsClosed) {
  feed(get);
  took();
  m.answer_started(now);
  EXPECT_EQ(m.wake_at(), t0 + 10s);
  m.written(1'000'000, 100'000, t0 + 5s);
  at(t0 + 10s);
  EXPECT_EQ(took(), "gone;close;") << "100,000 of 163,840 bytes";
}

TEST_F(HttpConnectionMachine, AReaderAtTheFloorPasses) {
  feed(get);
  took();
  m.answer_started(now);
  std::uint64_t out = 0;
  for (int i = 1; i <= 60; ++i) {
    m.written(1'000'000, out += 16'500, t0 + i * 1s);
    at(t0 + i * 1s);
  }
  EXPECT_EQ(took(), "");
  m.answer_finished(now);
  m.written(0, out += 10, now);
  EXPECT_TRUE(m.idle());
}

TEST_F(HttpConnectionMachine, AnAnswerThatIsNeverTakenIsDropped) {
  feed(get);
  took();
  m.answer_started(now);
  m.answer_finished(now);
  m.written(50'000, 0, now);
  at(t0 + 10s);
  EXPECT_EQ(took(), "close;") << "the request is over, nobody needs to hear";
}

} // namespace
