#include "http/machine_script.hpp"

namespace {

using namespace ron;
using namespace ron::http;
using namespace ron::test;
using core::ec;
using namespace std::chrono_literals;
using namespace std::string_literals;

/// Deadlines and rates, in virtual time.
class HttpConnectionTime : public MachineScript {};

TEST_F(HttpConnectionTime, ASilentPeerIsClosedAtTheHeaderTimeout) {
  EXPECT_EQ(m.wake_at(), t0 + 5s);
  at(t0 + 5s - 1ns);
  EXPECT_FALSE(m.closed());
  at(t0 + 5s);
  EXPECT_EQ(took(), "close;");
}

TEST_F(HttpConnectionTime, ASlowHeadIsRefused) {
  for (int i = 0; i < 40; ++i) {
    at(t0 + i * 100ms);
    feed(i < 4 ? "GET "s.substr(static_cast<std::size_t>(i), 1) : "/");
  }
  EXPECT_EQ(m.wake_at(), t0 + 5s) << "drops do not extend the deadline";
  at(t0 + 5s);
  EXPECT_EQ(took(), "refuse timeout;");
}

TEST_F(HttpConnectionTime, BetweenRequestsTheIdleTimeoutCounts) {
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

TEST_F(HttpConnectionTime, AnAnswerMustBeginInTime) {
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

TEST_F(HttpConnectionTime, TheCallersDeadlineCountsWhenItIsEarlier) {
  feed(get);
  took();
  m.expect_answer(t0 + 200ms, false);
  EXPECT_EQ(m.wake_at(), t0 + 200ms);
  at(t0 + 200ms);
  EXPECT_EQ(took(), "expired downstream_timeout;");
}

TEST_F(HttpConnectionTime, AWaiterHasItsOwnDeadline) {
  feed(get);
  took();
  m.expect_answer(t0 + 35s, true);
  at(t0 + 34s);
  EXPECT_EQ(took(), "");
  at(t0 + 35s);
  EXPECT_EQ(took(), "expired downstream_timeout;");
}

TEST_F(HttpConnectionTime, EachPieceOfABodyGivesNewTime) {
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

TEST_F(HttpConnectionTime, ASlowBodyFails) {
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

TEST_F(HttpConnectionTime, ABodyAtTheFloorPasses) {
  feed(put(1 << 20));
  took();
  for (int i = 1; i <= 100; ++i) {
    ask();
    at(t0 + i * 1s);
    ASSERT_EQ(log.find("failed"), std::string::npos);
    feed(std::string(1'200, 'x'));
  }
}

TEST_F(HttpConnectionTime, ASlowReaderIsClosed) {
  feed(get);
  took();
  m.answer_started(now);
  EXPECT_EQ(m.wake_at(), t0 + 10s);
  m.written(1'000'000, 100'000, t0 + 5s);
  at(t0 + 10s);
  EXPECT_EQ(took(), "gone;close;") << "100,000 of 163,840 bytes";
}

TEST_F(HttpConnectionTime, AReaderAtTheFloorPasses) {
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

TEST_F(HttpConnectionTime, AStreamOfEventsMayBeSilentAsLongAsItLikes) {
  feed(get);
  m.expect_answer(t0 + 35s, true);
  m.events_started(now);
  flushed();
  took();
  EXPECT_FALSE(m.wake_at());
  at(t0 + 1h);
  EXPECT_EQ(took(), "");
}

TEST_F(HttpConnectionTime, AReaderOfEventsWhoTakesNothingIsCut) {
  feed(get);
  m.events_started(now);
  flushed();
  now = t0 + 1h;
  m.written(1'000, sent += 100, now);
  EXPECT_EQ(m.wake_at(), t0 + 1h + 10s);
  m.written(0, sent += 1'000, now);
  EXPECT_FALSE(m.wake_at()) << "it took everything";
  m.written(1'000, sent += 100, now);
  took();
  at(t0 + 1h + 10s);
  EXPECT_EQ(took(), "gone;close;");
}

TEST_F(HttpConnectionTime, AReaderOfEventsWhoClosesItsHalfIsGone) {
  feed(get);
  m.events_started(now);
  took();
  end();
  EXPECT_EQ(took(), "gone;close;");
}

TEST_F(HttpConnectionTime, AfterTheLastEventTheConnectionGoesOn) {
  feed(get);
  m.events_started(now);
  m.answer_finished(now);
  flushed();
  took();
  feed(get);
  EXPECT_EQ(took(), "serve /a;");
}

TEST_F(HttpConnectionTime, AnAnswerThatIsNeverTakenIsDropped) {
  feed(get);
  took();
  m.answer_started(now);
  m.answer_finished(now);
  m.written(50'000, 0, now);
  at(t0 + 10s);
  EXPECT_EQ(took(), "close;") << "the request is over, nobody needs to hear";
}

} // namespace
