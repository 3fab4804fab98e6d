#include "core/actor/helper_pool.hpp"

#include "support/actor_fixture.hpp"

#include <future>
#include <string>
#include <vector>

using namespace ron;
using core::helper_pool;

TEST(HelperPool, OneThreadKeepsOrder) {
  std::vector<int> order;
  {
    helper_pool pool{"writer", 1, 100};
    for (int i = 0; i < 100; ++i)
      EXPECT_TRUE(pool.submit([&, i] { order.push_back(i); }));
  } // the destructor finishes what waits
  EXPECT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(HelperPool, RefusesBeyondItsBound) {
  helper_pool pool{"writer", 1, 3};
  std::promise<void> started;
  std::promise<void> open;
  auto gate = open.get_future().share();
  EXPECT_TRUE(pool.submit([&, gate] {
    started.set_value();
    gate.wait();
  }));
  started.get_future().wait(); // it runs and waits no more
  for (int i = 0; i < 3; ++i)
    EXPECT_TRUE(pool.submit([] {}));
  EXPECT_FALSE(pool.submit([] {}));
  EXPECT_EQ(pool.stats().waiting, 3u);
  EXPECT_EQ(pool.stats().high_water, 3u);
  EXPECT_EQ(pool.stats().refused, 1u);
  open.set_value();
  pool.stop();
  EXPECT_EQ(pool.stats().done, 4u);
  EXPECT_FALSE(pool.submit([] {})) << "stopped";
}

namespace {

struct reader_state {
  static constexpr const char* name = "test.reader";
};
using reader_actor = caf::typed_actor<caf::replies_to<atom::read, int>::with<std::string>>;

reader_actor::behavior_type make_reader(core::actor_self<reader_actor, reader_state> self,
                                        helper_pool* pool) {
  return {[self, pool](atom::read, int n) -> caf::result<std::string> {
    auto promise = self->make_response_promise<std::string>();
    auto work = [n] {
      EXPECT_EQ(core::shard::current(), nullptr);
      return std::to_string(n);
    };
    auto done = [self, promise](std::string text) mutable {
      EXPECT_EQ(core::shard::current(), &self->home());
      promise.deliver(std::move(text));
    };
    if (!pool->run(self->home(), work, self->bind(done)))
      promise.deliver(caf::make_error(core::ec::busy));
    return promise;
  }};
}

struct HelperPoolOnShards : test::AnyShards {};

} // namespace

TEST_P(HelperPoolOnShards, TheResultComesBackToTheActor) {
  helper_pool pool{"reader", 2, 64};
  auto reader = spawn(shards.size() - 1, make_reader, &pool);
  for (int i = 0; i < 100; ++i)
    EXPECT_EQ(ask<std::string>(reader, atom::read_v, i), std::to_string(i));
  EXPECT_EQ(pool.stats().threads, 2u);
}

TEST_P(HelperPoolOnShards, ReportsJobsWithoutAResult) {
  helper_pool pool{"writer", 1, 4};
  std::promise<std::size_t> done;
  auto& home = shards.at(shards.size() - 1);
  pool.run(home, [] {}, [&] { done.set_value(core::shard::current()->index()); });
  EXPECT_EQ(done.get_future().get(), shards.size() - 1);
}

INSTANTIATE_TEST_SUITE_P(On, HelperPoolOnShards, ::testing::Values(1, 2, 3));
