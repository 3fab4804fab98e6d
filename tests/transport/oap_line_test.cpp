#include "transport/oap_line.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

using namespace std::chrono_literals;
using ron::core::instant;
using ron::transport::ending;
using ron::transport::oap_line;
using ron::transport::oap_line_limits;
using order = oap_line::order;
using phase = oap_line::phase;

/// A line and the time; `at` moves it. Limits differ so that no test mistakes one for another.
class OapLine : public ::testing::Test {
protected:
  static constexpr oap_line_limits limits{.handshake_timeout = 5s,
                                          .read_timeout = 3s,
                                          .write_timeout = 4s,
                                          .answer_rate_min = 0,
                                          .idle_timeout = 60s,
                                          .discard_timeout = 1s,
                                          .discard_max = 1'000};
  instant start{1h};
  instant now = start;
  oap_line line{limits, start};
  oap_line::view v{.hello = true, .frames = 1};

  order at(std::chrono::milliseconds since_start) {
    now = start + since_start;
    return line.tick(now);
  }
  void open() {
    line.opened();
    line.look(v, now);
    ASSERT_EQ(line.state(), phase::open);
  }
  void look() {
    line.look(v, now);
  }
  /// The time of the next tick, in milliseconds since the start; -1 without.
  std::int64_t wake() const {
    auto t = line.wake_at();
    return t ? std::chrono::duration_cast<std::chrono::milliseconds>(*t - start).count() : -1;
  }
};

TEST_F(OapLine, HandshakeHasADeadline) {
  EXPECT_EQ(wake(), 5'000);
  EXPECT_EQ(at(4'999ms), order::none);
  EXPECT_EQ(at(5s), order::end);
  EXPECT_EQ(line.how(), ending::timeout);
  EXPECT_EQ(wake(), -1);
}

TEST_F(OapLine, HelloIsDueByTheSameDeadlineFromAccept) {
  now = start + 4s;
  line.opened();
  EXPECT_EQ(wake(), 5'000);
  line.received(10, now); // a dribbled HELLO gains nothing
  v.hello = false;
  v.partial = 10;
  look();
  EXPECT_EQ(at(4'999ms), order::none);
  EXPECT_EQ(at(5s), order::end);
  EXPECT_EQ(line.how(), ending::timeout);
}

TEST_F(OapLine, APeerThatTakesNotEvenOurHelloIsClosed) {
  v.hello = false;
  line.opened();
  look();
  line.written(500, 0, now);
  EXPECT_EQ(wake(), 4'000);
  EXPECT_EQ(at(4s), order::end);
}

TEST_F(OapLine, IdleIsTakenBackInGoodOrderOnce) {
  open();
  EXPECT_EQ(wake(), 60'000);
  EXPECT_EQ(at(59'999ms), order::none);
  EXPECT_EQ(at(60s), order::retire);
  EXPECT_EQ(at(60s), order::none) << "said once";
  line.finish(ending::clean, now);
  EXPECT_EQ(line.state(), phase::lingering);
  line.read_ended();
  EXPECT_EQ(line.tick(now), order::end);
  EXPECT_EQ(line.how(), ending::timeout) << "the reason was idleness";
}

TEST_F(OapLine, BytesAndStreamsPutIdlenessOff) {
  open();
  now = start + 10s;
  line.received(1, now);
  EXPECT_EQ(wake(), 70'000);
  v.streams = 1;
  look();
  EXPECT_EQ(wake(), -1) << "a stream has deadlines of its own";
  EXPECT_EQ(at(10min), order::none);
  v.streams = 0;
  look();
  EXPECT_EQ(wake(), 660'000) << "idle from the end of the last stream on";
  EXPECT_EQ(at(659s), order::none);
  EXPECT_EQ(at(660s), order::retire);
}

TEST_F(OapLine, ARequestThatComesAndGoesBetweenTwoLooksCountsAsLife) {
  open();
  now = start + 59s;
  line.received(100, now);
  look();
  EXPECT_EQ(at(60s), order::none);
}

TEST_F(OapLine, TheRestOfAFrameIsDueFromItsFirstByte) {
  open();
  v.partial = 10;
  look();
  EXPECT_EQ(wake(), 3'000);
  for (int i = 1; i < 30; ++i) { // a byte each 100 ms
    now = start + i * 100ms;
    line.received(1, now);
    ++v.partial;
    look();
    ASSERT_EQ(line.tick(now), order::none) << i;
  }
  EXPECT_EQ(at(3s), order::end);
  EXPECT_EQ(line.how(), ending::timeout);
}

TEST_F(OapLine, EveryFrameHasItsOwnTime) {
  open();
  v.streams = 1;
  for (int i = 1; i < 100; ++i) { // each read ends inside the next frame
    now = start + i * 2s;
    v.partial = 5;
    ++v.frames;
    look();
    ASSERT_EQ(line.tick(now), order::none) << i;
  }
  EXPECT_EQ(wake(), 99 * 2'000 + 3'000);
  v.partial = 0;
  ++v.frames;
  look();
  EXPECT_EQ(wake(), -1);
}

TEST_F(OapLine, AFrameWaitsWhileWeDoNotRead) {
  open();
  v.streams = 1;
  v.partial = 5;
  look();
  v.reading = false;
  look();
  EXPECT_EQ(wake(), -1);
  EXPECT_EQ(at(1min), order::none);
  v.reading = true;
  look();
  EXPECT_EQ(wake(), 63'000) << "from when we read on";
  EXPECT_EQ(at(63s), order::end);
}

TEST_F(OapLine, ASlowReaderLivesAsLongAsItTakesSomething) {
  open();
  v.streams = 1;
  look();
  line.written(1'000'000, 100, now);
  for (int i = 1; i <= 20; ++i) {
    now = start + i * 3'900ms;
    line.written(1'000'000, 100 + static_cast<std::uint64_t>(i), now);
    ASSERT_EQ(line.tick(now), order::none) << i;
  }
  EXPECT_EQ(wake(), 20 * 3'900 + 4'000);
  now = start + 20 * 3'900ms + 4s;
  line.written(1'000'000, 120, now);
  EXPECT_EQ(line.tick(now), order::end);
  EXPECT_EQ(line.how(), ending::timeout);
}

TEST_F(OapLine, TheWriteDeadlineBeginsWithTheBacklog) {
  open();
  v.streams = 1;
  look();
  line.written(0, 1'000, now);
  now = start + 1min;
  line.written(10, 1'000, now);
  EXPECT_EQ(wake(), 64'000);
  line.written(0, 1'010, now);
  EXPECT_EQ(wake(), -1);
}

TEST_F(OapLine, LingersUntilThePeerLeaves) {
  open();
  line.finish(ending::reject, now);
  EXPECT_EQ(line.tick(now), order::none);
  EXPECT_EQ(wake(), 1'000);
  line.read_ended();
  EXPECT_EQ(line.tick(now), order::end);
  EXPECT_EQ(line.how(), ending::reject);
}

TEST_F(OapLine, LingersNoLongerThanTheDeadline) {
  open();
  line.finish(ending::reject, now);
  EXPECT_EQ(at(999ms), order::none);
  EXPECT_EQ(at(1s), order::end);
  EXPECT_EQ(line.how(), ending::reject);
}

TEST_F(OapLine, DropsSoManyBytesAndNoMore) {
  open();
  line.finish(ending::reject, now);
  line.received(1'000, now);
  EXPECT_EQ(line.tick(now), order::none);
  line.received(1, now);
  EXPECT_EQ(line.tick(now), order::end);
}

TEST_F(OapLine, LastBytesHaveTheTimeOfASlowReader) {
  open();
  line.written(300'000, 0, now);
  line.finish(ending::clean, now);
  line.read_ended();
  for (int i = 1; i <= 10; ++i) {
    now = start + i * 2s;
    line.written(300'000, static_cast<std::uint64_t>(i), now);
    ASSERT_EQ(line.tick(now), order::none) << "a drain loses nothing";
  }
  line.written(0, 300'000, now);
  EXPECT_EQ(line.tick(now), order::end);
  EXPECT_EQ(line.how(), ending::clean);
}

TEST_F(OapLine, TheLingerDeadlineBeginsWhenAllIsOut) {
  open();
  line.written(10, 0, now);
  line.finish(ending::clean, now);
  now = start + 3s;
  line.written(0, 10, now);
  EXPECT_EQ(line.tick(now), order::none);
  EXPECT_EQ(wake(), 4'000);
  EXPECT_EQ(at(4s), order::end);
}

TEST_F(OapLine, AReaderThatStopsCannotHoldTheEnd) {
  open();
  line.written(10, 0, now);
  line.finish(ending::cut, now);
  EXPECT_EQ(at(3'999ms), order::none);
  EXPECT_EQ(at(4s), order::end);
  EXPECT_EQ(line.how(), ending::cut);
}

TEST_F(OapLine, FirstEndingCounts) {
  open();
  line.finish(ending::reject, now);
  line.finish(ending::clean, now + 500ms);
  EXPECT_EQ(wake(), 1'000);
  EXPECT_EQ(at(1s), order::end);
  EXPECT_EQ(line.how(), ending::reject);
  EXPECT_EQ(at(1h), order::none) << "nothing after the end";
}

/// With a least rate of 16 KiB a second.
class OapLineRate : public OapLine {
protected:
  OapLineRate() {
    auto rated = limits;
    rated.answer_rate_min = 16'384;
    line = oap_line{rated, start};
    open();
  }
};

TEST_F(OapLineRate, APeerThatTakesAByteNowAndThenIsTooSlow) {
  std::uint64_t sent = 0;
  for (int second = 0; second < 10; ++second) {
    now = start + std::chrono::seconds{second};
    line.written(100'000, ++sent, now);
    ASSERT_EQ(line.tick(now), order::none) << second;
  }
  EXPECT_EQ(wake(), 10'000);
  EXPECT_EQ(at(10s), order::end);
  EXPECT_EQ(line.how(), ending::timeout);
}

TEST_F(OapLineRate, APeerThatIsJustFastEnoughStays) {
  std::uint64_t sent = 0;
  for (int second = 0; second < 60; ++second) {
    now = start + std::chrono::seconds{second};
    line.written(100'000, sent, now);
    ASSERT_EQ(line.tick(now), order::none) << second;
    sent += 16'384;
  }
}

TEST_F(OapLineRate, CountsOnlyWhileThereIsABacklog) {
  for (int second = 0; second < 60; second += 6) { // a little, seldom, and taken at once
    now = start + std::chrono::seconds{second};
    line.written(10, static_cast<std::uint64_t>(second), now);
    now += 2s;
    line.written(0, static_cast<std::uint64_t>(second) + 1, now);
    ASSERT_EQ(line.tick(now), order::none) << second;
  }
}

/// The same, and the peer's window opens in steps.
class OapLineSteps : public OapLineRate {
protected:
  static constexpr std::uint64_t step = 256u << 10; // worth 16 s
  OapLineSteps() {
    line.opened(true);
    v.streams = 1;
    look();
  }
};

TEST_F(OapLineSteps, AReaderThatIsJustFastEnoughStays) {
  std::uint64_t sent = step;
  line.written(1'000'000, sent, now);
  for (const auto end = start + 10min; now < end; sent += step, line.written(1'000'000, sent, now))
    for (const auto next = now + 15'999ms; now < next;) {
      now = std::min(next, std::max(now + 1ms, line.wake_at().value_or(next)));
      ASSERT_EQ(line.tick(now), order::none) << wake();
    }
}

TEST_F(OapLineSteps, AStepPaysForItsTimeAndNoLonger) {
  line.written(1'000'000, step, now);
  EXPECT_EQ(wake(), 16'000);
  EXPECT_EQ(at(15'999ms), order::none);
  EXPECT_EQ(at(16s), order::end);
  EXPECT_EQ(line.how(), ending::timeout);
}

TEST_F(OapLineSteps, WhatAStepPaysForIsBounded) {
  line.written(1'000'000, 1u << 30, now);
  line.written(1'000'000, 2u << 30, now);
  EXPECT_EQ(wake(), 20'000) << "320 KiB at 16 KiB a second";
  EXPECT_EQ(at(20s), order::end);
}

TEST_F(OapLineSteps, AByteNowAndThenPaysForNothing) {
  std::uint64_t sent = 0;
  for (int second = 0; second < 10; ++second) {
    now = start + std::chrono::seconds{second};
    line.written(100'000, ++sent, now);
    ASSERT_EQ(line.tick(now), order::none) << second;
  }
  EXPECT_EQ(at(10s), order::end);
}

} // namespace
