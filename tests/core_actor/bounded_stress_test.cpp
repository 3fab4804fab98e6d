#include "support/actor_fixture.hpp"

#include <atomic>
#include <latch>
#include <thread>

using namespace ron;
using namespace std::chrono_literals;

namespace {

constexpr std::uint32_t bound = 64;

using slow_actor = caf::typed_actor<caf::replies_to<atom::write, int>::with<int>,
                                    caf::reacts_to<atom::put, int>>;
struct slow_state {
  static constexpr const char* name = "test.slow";
  std::uint32_t work = 0;
};

slow_actor::behavior_type make_slow(core::actor_self<slow_actor, slow_state> self) {
  auto work = [self] {
    for (int i = 0; i < 5'000; ++i)
      self->state.work = self->state.work * 1'664'525u + 1'013'904'223u;
  };
  return {
    [work](atom::write, int n) {
      work();
      return n;
    },
    [work](atom::put, int) { work(); },
  };
}

struct tally {
  std::atomic<int> ok{0}, busy{0}, other{0};
  std::latch done;
  explicit tally(int producers) : done(producers) {}
};

struct producer_state {
  static constexpr const char* name = "test.producer";
  int sent = 0;
  int settled = 0;
};

// Sends requests in bursts, each larger than the consumer's mailbox, and waits for all answers.
void burst(core::dynamic_self<producer_state> self, slow_actor to, tally* t, int left) {
  constexpr int size = 250;
  auto settle = [=](std::atomic<int>& counter) {
    ++counter;
    if (++self->state.settled < self->state.sent)
      return;
    if (left > size)
      return burst(self, to, t, left - size);
    t->done.count_down();
    self->quit();
  };
  self->state.sent += size;
  for (int i = 0; i < size; ++i)
    self->request(to, 60s, atom::write_v, i)
      .then([=](int) { settle(t->ok); },
            [=](const caf::error& e) {
              settle(core::to_error(e).code == core::ec::busy ? t->busy : t->other);
            });
}

caf::behavior make_producer(core::dynamic_self<producer_state> self, slow_actor to, tally* t,
                            int requests) {
  burst(self, to, t, requests);
  return {[](atom::tick) {}};
}

struct BoundedStress : test::AnyShards {};

} // namespace

TEST_P(BoundedStress, TheBoundHoldsAndEveryRequestIsAnswered) {
  constexpr int producers = 4;
  constexpr int requests = 5'000;
  auto slow = own(core::spawn_on(shards.at(0), {.bound = bound}, make_slow));
  tally t{producers};
  std::atomic<bool> stop{false};
  std::atomic<std::uint64_t> plain{0};
  constexpr std::uint64_t plain_max = 5'000; // whoever never ends may leave no room for a request
  std::thread noise{[&] {
    while (!stop && plain < plain_max) {
      caf::anon_send(slow, atom::put_v, 1);
      if (++plain % 64 == 0)
        std::this_thread::yield();
    }
  }};
  for (std::size_t i = 0; i < producers; ++i)
    spawn(i % shards.size(), make_producer, slow, &t, requests);
  t.done.wait();
  stop = true;
  noise.join();
  EXPECT_EQ(t.ok + t.busy, producers * requests);
  EXPECT_EQ(t.other, 0);
  EXPECT_GT(t.ok, 0);
  EXPECT_GT(t.busy, 0);
  auto& all = core::directory::instance();
  ASSERT_TRUE(test::eventually([&] { return all.get(slow.id())->depth == 0; }));
  auto r = *all.get(slow.id());
  EXPECT_EQ(r.high_water, bound);
  EXPECT_EQ(r.refused, static_cast<std::uint64_t>(t.busy));
  EXPECT_EQ(r.in, static_cast<std::uint64_t>(t.ok) + plain - r.dropped);
}

TEST_P(BoundedStress, AnExitOvertakesAFullMailbox) {
  auto slow = own(core::spawn_on(shards.at(0), {.bound = bound}, make_slow));
  for (int i = 0; i < 1'000; ++i)
    caf::anon_send(slow, atom::put_v, i);
  core::end(slow);
  EXPECT_TRUE(test::eventually([&] { return !core::directory::instance().get(slow.id()); }));
}

INSTANTIATE_TEST_SUITE_P(On, BoundedStress, ::testing::Values(1, 2, 3));
