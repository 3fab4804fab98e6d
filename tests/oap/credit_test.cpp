#include "oap/credit.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>

namespace ron::oap::test {
namespace {

constexpr std::uint64_t top = ~0ull;

TEST(OapCredit, SenderStopsAtAPlusW) {
  send_credit c{100, 3};
  EXPECT_EQ(c.room(), 3u);
  EXPECT_EQ(c.take(), 101u);
  EXPECT_EQ(c.take(), 102u);
  EXPECT_EQ(c.take(), 103u);
  EXPECT_EQ(c.room(), 0u);
  std::uint32_t freed = 9;
  EXPECT_EQ(c.on_ack(102, 2, freed), reason::none);
  EXPECT_EQ(freed, 2u);
  EXPECT_EQ(c.room(), 1u);
  EXPECT_EQ(c.unacked(), 1u);
  EXPECT_EQ(c.on_ack(102, 0, freed), reason::none) << "w == 0 pauses";
  EXPECT_EQ(freed, 0u);
  EXPECT_EQ(c.room(), 0u);
}

// ACK(u, w) is legal iff A <= u <= S: all values around all states.
TEST(OapCredit, AckIsLegalBetweenAAndS) {
  for (std::uint64_t sent = 0; sent <= 6; ++sent)
    for (std::uint64_t acked = 0; acked <= sent; ++acked)
      for (std::uint64_t u = 0; u <= 8; ++u)
        for (std::uint32_t w : {0u, 1u, 1024u}) {
          send_credit c{0, 8};
          for (std::uint64_t i = 0; i < sent; ++i)
            c.take();
          std::uint32_t freed = 0;
          ASSERT_EQ(c.on_ack(acked, 8, freed), reason::none);
          auto why = c.on_ack(u, w, freed);
          if (u < acked) {
            ASSERT_EQ(why, reason::ack_rollback);
          } else if (u > sent) {
            ASSERT_EQ(why, reason::ack_overshoot);
          } else {
            ASSERT_EQ(why, reason::none);
            ASSERT_EQ(freed, u - acked);
            ASSERT_EQ(c.room(), u + w > sent ? u + w - sent : 0);
          }
          ASSERT_EQ(c.acked(), why == reason::none ? u : acked) << "a breach changes nothing";
        }
}

// DATA(s) is legal iff s == R + 1 and s <= G.
TEST(OapCredit, DataIsLegalInOrderAndWithinG) {
  for (std::uint32_t window = 1; window <= 4; ++window)
    for (std::uint64_t received = 0; received <= window; ++received)
      for (std::uint64_t s = 0; s <= 7; ++s) {
        receive_credit c{0, window};
        for (std::uint64_t i = 1; i <= received; ++i)
          ASSERT_EQ(c.on_data(i), reason::none);
        auto why = c.on_data(s);
        auto want = s <= received       ? reason::dup_seq
                    : s != received + 1 ? reason::seq_gap
                    : s > window        ? reason::window_overrun
                                        : reason::none;
        ASSERT_EQ(why, want) << "window " << window << " R " << received << " s " << s;
        ASSERT_EQ(c.received(), want == reason::none ? s : received);
      }
}

TEST(OapCredit, ASmallerWindowOnlyStopsNewSends) {
  receive_credit c{0, 8};
  EXPECT_EQ(c.on_data(1), reason::none);
  c.on_ack_sent(0);
  EXPECT_EQ(c.limit(), 8u);
  for (std::uint64_t s = 2; s <= 8; ++s)
    EXPECT_EQ(c.on_data(s), reason::none) << "in flight when the window shrank";
  EXPECT_EQ(c.on_data(9), reason::window_overrun);
}

TEST(OapCredit, EmptyEndNamesTheLast) {
  receive_credit c{5, 8};
  EXPECT_EQ(c.on_empty_end(5), reason::none);
  EXPECT_EQ(c.on_empty_end(4), reason::seq_gap);
  EXPECT_EQ(c.on_empty_end(6), reason::seq_gap);
}

TEST(OapCredit, TheLastNumberIsNeverUsed) {
  receive_credit r{top - 2, 1024};
  EXPECT_EQ(r.limit(), top) << "clipped, not wrapped";
  EXPECT_EQ(r.on_data(top - 1), reason::none);
  EXPECT_EQ(r.on_data(top), reason::seq_gap);
  send_credit s{top - 2, 1024};
  EXPECT_EQ(s.room(), 1u);
  s.take();
  EXPECT_EQ(s.room(), 0u);
}

TEST(OapCredit, AckThresholdIsHalfTheWindowAndAtLeastOne) {
  for (std::uint32_t window : {0u, 1u, 2u, 3u, 8u, 32u}) {
    receive_credit c{0, 64};
    c.on_ack_sent(window);
    std::uint64_t n = 0;
    while (!c.ack_due())
      ASSERT_EQ(c.on_data(++n), reason::none);
    EXPECT_EQ(n, std::max(1u, window / 2)) << window;
  }
}

TEST(OapCredit, GrantsWhenItIsWorthAnAckOrTheSenderHasNothing) {
  receive_credit c{0, 8};
  for (std::uint64_t s = 1; s <= 8; ++s)
    c.on_data(s);
  c.on_ack_sent(c.window_for(8));
  EXPECT_FALSE(c.grant_due(8));
  c.on_consumed(1);
  EXPECT_TRUE(c.grant_due(8)) << "the sender has no credit at all";
  c.on_ack_sent(c.window_for(8));
  c.on_consumed(1);
  EXPECT_FALSE(c.grant_due(8)) << "one more frame is not worth an ACK";
  c.on_consumed(3);
  EXPECT_TRUE(c.grant_due(8));
  EXPECT_FALSE(c.grant_due(0)) << "paused";
  c.on_consumed(100);
  EXPECT_EQ(c.unconsumed(), 0u) << "clipped to what was received";
}

TEST(OapCredit, ShareHasAMaximumAndAHalf) {
  inflight_share s{4};
  EXPECT_FALSE(s.half_used());
  EXPECT_TRUE(s.take());
  EXPECT_TRUE(s.take());
  EXPECT_TRUE(s.half_used());
  EXPECT_TRUE(s.take());
  EXPECT_TRUE(s.take());
  EXPECT_FALSE(s.take());
  EXPECT_EQ(s.used(), 4u);
  s.give_back(3);
  EXPECT_EQ(s.room(), 3u);
  s.give_back(99);
  EXPECT_EQ(s.used(), 0u);
}

// Sender and receiver of one half with a queue in each direction, all interleavings of a small
// world: no honest frame or ACK is ever refused, what is held never passes the target, and nobody
// gets stuck.
class OapCreditWorld : public testing::TestWithParam<std::uint32_t> {
protected:
  struct world {
    send_credit tx;
    receive_credit rx;
    std::deque<std::uint64_t> frames;
    std::deque<std::pair<std::uint64_t, std::uint32_t>> acks;
  };
  // 0 send, 1 deliver, 2 consume, 3 acknowledge if due, 4 deliver an ACK. False: nothing to do.
  bool step(world& w, int what) {
    const auto target = GetParam();
    switch (what) {
      case 0:
        if (w.tx.room() == 0)
          return false;
        w.frames.push_back(w.tx.take());
        return true;
      case 1:
        if (w.frames.empty())
          return false;
        EXPECT_EQ(w.rx.on_data(w.frames.front()), reason::none);
        w.frames.pop_front();
        EXPECT_LE(w.rx.unconsumed(), target);
        return true;
      case 2:
        if (w.rx.unconsumed() == 0)
          return false;
        w.rx.on_consumed(1);
        return true;
      case 3: {
        if (!w.rx.ack_due() && !w.rx.grant_due(target))
          return false;
        auto window = w.rx.window_for(target);
        auto before = w.rx.limit();
        w.rx.on_ack_sent(window);
        EXPECT_GE(w.rx.limit(), before);
        EXPECT_LE(w.rx.committed(), target);
        w.acks.emplace_back(w.rx.received(), window);
        return true;
      }
      default: {
        if (w.acks.empty())
          return false;
        std::uint32_t freed = 0;
        EXPECT_EQ(w.tx.on_ack(w.acks.front().first, w.acks.front().second, freed), reason::none);
        w.acks.pop_front();
        return true;
      }
    }
  }
  void explore(const world& w, int depth) {
    if (depth == 0 || HasFailure())
      return;
    bool any = false;
    for (int what = 0; what < 5; ++what) {
      auto copy = w;
      if (step(copy, what)) {
        any = true;
        explore(copy, depth - 1);
      }
    }
    EXPECT_TRUE(any) << "stuck";
  }
};

TEST_P(OapCreditWorld, EveryInterleavingIsLegalAndNeverStuck) {
  world w{send_credit{0, GetParam()}, receive_credit{0, GetParam()}, {}, {}};
  explore(w, 11);
}

TEST_P(OapCreditWorld, LongRandomWalksToo) {
  for (unsigned seed = 1; seed <= 200; ++seed) {
    std::mt19937 rng{seed};
    world w{send_credit{0, GetParam()}, receive_credit{0, GetParam()}, {}, {}};
    for (int i = 0; i < 500; ++i) {
      auto first = static_cast<int>(rng() % 5);
      bool any = false;
      for (int k = 0; k < 5 && !any; ++k)
        any = step(w, (first + k) % 5);
      ASSERT_TRUE(any) << "stuck, seed " << seed;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Windows, OapCreditWorld, testing::Values(1u, 2u, 3u, 5u, 8u, 64u));

} // namespace
} // namespace ron::oap::test
