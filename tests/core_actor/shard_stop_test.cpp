#include "support/actor_fixture.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include <array>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

using namespace ron;
using namespace std::chrono_literals;

namespace {

struct busy_state {
  static constexpr const char* name = "test.busy";
  std::vector<caf::actor> peers;
};
using busy_self = core::dynamic_self<busy_state>;

// Keeps requests, plain messages and timers in the air over all shards until it is ended.
caf::behavior make_busy(busy_self self) {
  self->set_default_handler(caf::drop);
  return {
      [self](std::vector<caf::actor>& peers) {
        self->state.peers = std::move(peers);
        self->send(self, atom::tick_v);
      },
      [self](atom::tick) {
        for (auto& peer : self->state.peers) {
          self->send(peer, atom::put_v, 1);
          self->request(peer, 5s, atom::get_v).then([](int) {}, [](const caf::error&) {});
        }
        self->delayed_send(self, 1ms, atom::tick_v);
        self->defer([self] { self->send(self, atom::put_v, 2); });
      },
      [](atom::put, int) {},
      [](atom::get) { return 1; },
  };
}

class ShardStop : public ::testing::TestWithParam<std::size_t> {
public:
  test::shard_config config{GetParam()};
  std::optional<caf::actor_system> system{std::in_place, config};
  core::shards& shards = core::shards::of(*system);

  std::vector<caf::actor> start_busy(std::size_t n) {
    std::vector<caf::actor> all;
    for (std::size_t i = 0; i < n; ++i)
      all.push_back(core::spawn_on(shards.at(i % shards.size()), {}, make_busy));
    for (auto& a : all)
      caf::anon_send(a, all);
    return all;
  }
};

std::size_t alive() {
  return core::directory::instance()
      .snapshot([](auto& r) { return std::string_view{r.type} == "test.busy"; })
      .size();
}

} // namespace

TEST_P(ShardStop, EndsUnderLoad) {
  for (int round = 0; round < 5; ++round) {
    auto all = start_busy(8);
    auto& first = all[0];
    ASSERT_TRUE(test::eventually(
        [&] { return core::directory::instance().get(first.id()).value().in > 200; }));
    for (auto& a : all)
      core::end(a);
  }
  system.reset();
  EXPECT_EQ(alive(), 0u);
}

namespace {

constexpr int refusals = 1'000; // in a row, each: closed, not only full

// Lives on a thread of its own and sends until the shards refuse it. Hidden, so that the actor
// system stops the shards first and waits for the thread after.
void straggle(caf::event_based_actor* self, core::shards& shards,
              const std::vector<caf::actor>& all, int& refused) {
  for (const auto& a : all) {
    caf::anon_send(a, atom::put_v, 3);
    self->request(a, 1ms, atom::get_v).then([](int) {}, [](const caf::error&) {});
  }
  self->delayed_anon_send(all[0], 1ms, atom::put_v, 4);
  refused = shards.at(0).submit([] {}) ? 0 : refused + 1;
  if (refused == refusals)
    self->quit();
  else
    self->send(self, atom::tick_v);
}

} // namespace

TEST_P(ShardStop, LateSendsOfForeignThreadsAreHarmless) {
  auto all = start_busy(4);
  std::array<int, 2> refused{};
  for (std::size_t t = 0; t < refused.size(); ++t)
    system->spawn<caf::detached + caf::hidden>(
        [&](caf::event_based_actor* self, std::size_t me) -> caf::behavior {
          self->send(self, atom::tick_v);
          return {[&, self, me](atom::tick) {
            straggle(self, shards, all, refused[me]);
          }};
        },
        t);
  ASSERT_TRUE(test::eventually(
      [&] { return core::directory::instance().get(all[0].id()).value().in > 1'000; }));
  for (auto& a : all)
    core::end(a);
  ASSERT_TRUE(test::eventually([&] { return alive() == 0; }));
  system.reset();
  EXPECT_EQ(refused, (std::array{refusals, refusals}));
}

TEST_P(ShardStop, FreesWhatStillWaits) {
  auto kept = std::make_shared<int>(7);
  std::weak_ptr<int> gone = kept;
  shards.at(0).submit([&io = shards.at(0).io(), kept] { // a completion handler
    auto timer = std::make_shared<boost::asio::steady_timer>(io, 1h);
    timer->async_wait([timer, kept](boost::system::error_code) {});
  });
  shards.at(0).submit([kept] { // a handler that is deferred again and again
    struct again {
      std::shared_ptr<int> keep;
      void operator()() {
        core::shard::current()->defer(again{keep});
      }
    };
    core::shard::current()->defer(again{kept});
  });
  shards.at(0).submit([&others = shards, kept] { // jobs on their way to another shard
    others.at(others.size() - 1).submit([kept] {});
  });
  kept.reset();
  EXPECT_FALSE(gone.expired());
  system.reset();
  EXPECT_TRUE(gone.expired());
}

INSTANTIATE_TEST_SUITE_P(On, ShardStop, ::testing::Values(1, 2, 3));
