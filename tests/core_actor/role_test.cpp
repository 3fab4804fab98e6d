#include "core/actor/supervisor.hpp"

#include "support/actor_fixture.hpp"

#include <atomic>
#include <mutex>
#include <set>

using namespace ron;
using namespace std::chrono_literals;

namespace {

using echo_actor = caf::typed_actor<caf::replies_to<atom::get, int>::with<int>,
                                    caf::reacts_to<atom::abort>>;
struct echo_state {
  static constexpr const char* name = "test.echo";
};
echo_actor::behavior_type make_echo(core::actor_self<echo_actor, echo_state> self) {
  return {[](atom::get, int n) { return n; },
          [self](atom::abort) { self->quit(caf::make_error(core::ec::internal)); }};
}

echo_actor spawn_echo(const core::replica_place& place) {
  return core::spawn_at(place, {}, make_echo);
}

bool gone(const core::supervisor_actor& s) {
  return !core::directory::instance().get(s.id());
}

// -- in virtual time -----------------------------------------------------------------------

struct Role : test::ActorFixture {
  int given_up = 0;
  std::string culprit;
  core::role<echo_actor> start(core::restart_limits limits = {}) {
    auto role = core::supervise<echo_actor>(
      system, "test.echo", spawn_echo,
      [this](const std::string& name, const caf::error&) {
        ++given_up;
        culprit = name;
      },
      limits);
    own(role.supervisor);
    run();
    return role;
  }
  void kill(const core::role<echo_actor>& role) {
    caf::anon_send(role.ref.get(), atom::abort_v);
    run();
  }
};

} // namespace

TEST_F(Role, AnEmptyReferenceGivesNobody) {
  core::role_ref<echo_actor> ref;
  EXPECT_FALSE(ref.get());
  EXPECT_FALSE(ref.ready());
}

TEST_F(Role, IsThereAfterItsStart) {
  auto role = start();
  EXPECT_TRUE(role.ref.ready());
  EXPECT_EQ(**ask<int>(role.ref.get(), atom::get_v, 7), 7);
}

TEST_F(Role, IsRestartedAfterAPauseInWhichThereIsNobody) {
  auto role = start();
  auto first = role.ref.get();
  kill(role);
  EXPECT_FALSE(role.ref.get());
  advance(24ms);
  EXPECT_FALSE(role.ref.get()) << "half of 50 ms at least";
  advance(26ms);
  auto second = role.ref.get();
  ASSERT_TRUE(second);
  EXPECT_NE(first.id(), second.id());
  EXPECT_EQ(**ask<int>(second, atom::get_v, 7), 7);
  EXPECT_EQ(given_up, 0);
}

TEST_F(Role, ThreeDeathsInAMinuteGiveUpOnce) {
  auto role = start();
  for (int i = 0; i < 2; ++i) {
    kill(role);
    advance(2s);
    ASSERT_TRUE(role.ref.get());
  }
  kill(role);
  EXPECT_EQ(given_up, 1);
  EXPECT_EQ(culprit, "test.echo");
  advance(10s);
  EXPECT_FALSE(role.ref.get()) << "no further restart";
}

TEST_F(Role, EndsWithItsSupervisor) {
  auto role = start();
  core::end(role.supervisor);
  run();
  EXPECT_FALSE(role.ref.get());
  EXPECT_TRUE(gone(role.supervisor));
  EXPECT_EQ(given_up, 0);
}

TEST_F(Role, ASupervisorThatEndsDuringABackOffStartsNobody) {
  auto role = start();
  kill(role);
  core::end(role.supervisor);
  run();
  EXPECT_TRUE(gone(role.supervisor));
  advance(1min);
  EXPECT_FALSE(role.ref.get());
}

// -- on shards -----------------------------------------------------------------------------

namespace {
struct RoleOnShards : test::AnyShards {
  std::atomic<int> given_up{0};
  core::role<echo_actor> start(core::restart_limits limits) {
    auto role = core::supervise<echo_actor>(
      system, "test.echo", spawn_echo, [this](auto&, auto&) { ++given_up; }, limits);
    own(role.supervisor);
    EXPECT_TRUE(test::eventually([&] { return role.ref.ready(); }));
    return role;
  }
  std::set<std::uint64_t> replicas(const core::role<echo_actor>& role) {
    std::set<std::uint64_t> ids;
    for (std::size_t i = 0; i < role.ref.table()->size(); ++i)
      if (auto replica = role.ref.table()->at(i))
        ids.insert(replica->id());
    return ids;
  }
};
} // namespace

TEST_P(RoleOnShards, EveryShardHasItsOwnReplica) {
  auto role = start({});
  EXPECT_EQ(replicas(role).size(), shards.size());
  std::mutex mutex;
  std::set<std::uint64_t> seen;
  for (std::size_t i = 0; i < shards.size(); ++i)
    shards.at(i).submit([&] {
      auto mine = role.ref.get();
      EXPECT_EQ(core::directory::instance().get(mine.id())->shard,
                core::shard::current()->index());
      std::lock_guard guard{mutex};
      seen.insert(mine.id());
    });
  EXPECT_TRUE(test::eventually([&] {
    std::lock_guard guard{mutex};
    return seen == replicas(role);
  }));
}

TEST_P(RoleOnShards, SurvivesAStreamOfFailuresUntilItEnds) {
  auto role = start({.base = 1ms, .cap = 2ms, .window = 1h, .deaths_max = 1'000});
  for (int round = 0; round < 30; ++round) {
    auto slot = static_cast<std::size_t>(round) % shards.size();
    ASSERT_TRUE(test::eventually([&] { return role.ref.table()->at(slot) != nullptr; }));
    auto victim = role.ref.table()->at(slot);
    core::end(victim, caf::exit_reason::kill);
    ASSERT_TRUE(test::eventually([&] { return role.ref.table()->at(slot) != victim; }));
  }
  core::end(role.supervisor);
  EXPECT_TRUE(test::eventually([&] { return gone(role.supervisor); }));
  EXPECT_TRUE(test::eventually([&] { return replicas(role).empty(); }));
  EXPECT_EQ(given_up, 0);
}

INSTANTIATE_TEST_SUITE_P(On, RoleOnShards, ::testing::Values(1, 2, 3));
