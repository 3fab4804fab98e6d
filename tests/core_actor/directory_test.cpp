#include "support/actor_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>

using namespace ron;
using core::directory;

namespace {

struct leaf_state {
  static constexpr const char* name = "test.leaf";
};
caf::behavior make_leaf(core::dynamic_self<leaf_state> self) {
  return {[](atom::put, int) {}, [](core::bytes&) {}, [self](atom::close) { self->quit(); }};
}

struct branch_state {
  static constexpr const char* name = "test.branch";
};
constexpr auto before_the_leaf = std::source_location::current().line() + 2;
caf::behavior make_branch(core::dynamic_self<branch_state> self, caf::actor* child) {
  *child = core::spawn_here(self, make_leaf);
  auto leaf = *child;
  return {[self, leaf](atom::put, int n) { self->send(leaf, atom::put_v, n); },
          [self](atom::close) { self->quit(); }};
}

struct Directory : test::ActorFixture {
  directory& all = directory::instance();
};

} // namespace

TEST_F(Directory, KnowsWhoIsAliveAndForgetsWhoIsNot) {
  auto before = all.size();
  auto a = spawn(make_leaf);
  EXPECT_EQ(all.size(), before + 1);
  EXPECT_TRUE(all.get(a.id()));
  EXPECT_EQ(all.find(a.id()), caf::actor_cast<caf::strong_actor_ptr>(a));
  caf::anon_send(a, atom::close_v);
  run();
  EXPECT_EQ(all.size(), before);
  EXPECT_FALSE(all.get(a.id()));
  EXPECT_FALSE(all.find(a.id()));
  EXPECT_FALSE(all.set_bound(a.id(), 1));
}

TEST_F(Directory, KnowsWhereAnActorComesFrom) {
  caf::actor child;
  auto line = std::source_location::current().line() + 1;
  auto parent = own(core::spawn_in(system, {}, make_branch, &child));
  run();
  own(child);
  auto p = *all.get(parent.id());
  auto c = *all.get(child.id());
  EXPECT_STREQ(p.type, "test.branch");
  EXPECT_STREQ(c.type, "test.leaf");
  EXPECT_EQ(p.parent, 0u);
  EXPECT_EQ(c.parent, parent.id());
  EXPECT_EQ(p.site.line(), line);
  EXPECT_EQ(c.site.line(), before_the_leaf) << "where make_branch calls spawn_here";
  EXPECT_TRUE(std::string_view{p.site.file_name()}.ends_with("directory_test.cpp"));
}

TEST_F(Directory, CountsWhatGoesInAndOut) {
  caf::actor child;
  auto parent = spawn(make_branch, &child);
  run();
  own(child);
  for (int i = 0; i < 3; ++i)
    caf::anon_send(parent, atom::put_v, i);
  run();
  EXPECT_EQ(all.get(parent.id())->in, 3u);
  EXPECT_EQ(all.get(parent.id())->out, 3u);
  EXPECT_EQ(all.get(child.id())->in, 3u);
  EXPECT_EQ(all.get(child.id())->last.name(), "put");
  EXPECT_GT(all.get(child.id())->busy.count(), 0);
  caf::anon_send(child, core::bytes::literal("no atom"));
  run();
  EXPECT_EQ(all.get(child.id())->last.name(), "ron::core::bytes");
}

TEST_F(Directory, SnapshotTakesAFilter) {
  for (int i = 0; i < 40; ++i)
    spawn(make_leaf);
  auto leaves = all.snapshot([](auto& r) { return std::string_view{r.type} == "test.leaf"; });
  EXPECT_EQ(leaves.size(), 40u);
  EXPECT_EQ(all.snapshot().size(), all.size());
  EXPECT_TRUE(all.snapshot([](auto&) { return false; }).empty());
}

TEST_F(Directory, RemembersTheLastThousandEndsNewestFirst) {
  auto total = all.deaths_total();
  constexpr std::size_t ends = directory::deaths_max + 50;
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < ends; ++i) {
    auto a = core::spawn_in(system, {}, make_leaf);
    last = a.id();
    caf::anon_send(a, atom::close_v);
    run();
  }
  auto deaths = all.deaths();
  EXPECT_EQ(deaths.size(), directory::deaths_max);
  EXPECT_EQ(all.deaths_total() - total, ends);
  EXPECT_EQ(deaths[0].id, last);
  EXPECT_TRUE(std::ranges::is_sorted(deaths, std::ranges::greater{}, &core::death_record::when));
  EXPECT_STREQ(deaths[0].type, "test.leaf");
  EXPECT_EQ(deaths[0].reason, "normal");
  EXPECT_FALSE(deaths[0].failed);
  EXPECT_EQ(deaths[0].in, 1u);
  EXPECT_EQ(deaths[0].last[0].name(), "close");
  EXPECT_EQ(deaths[0].last[1].name(), "-");
}

TEST_F(Directory, WhoFindsAnActorGoneFindsItsEnd) {
  constexpr int ends = 2'000;
  const auto before = all.deaths_total();
  std::atomic<std::uint64_t> watched{0};
  std::atomic<int> seen{0};
  std::jthread watcher{[&] {
    for (int i = 0; i < ends; ++i) {
      std::uint64_t id = 0;
      while ((id = watched.exchange(0)) == 0)
        std::this_thread::yield();
      while (all.get(id)) {
        // nop
      }
      EXPECT_GT(all.deaths_total() - before, static_cast<std::uint64_t>(i));
      ++seen;
    }
  }};
  for (int i = 0; i < ends; ++i) {
    auto a = core::spawn_in(system, {}, make_leaf);
    watched = a.id();
    caf::anon_send(a, atom::close_v);
    run();
    while (seen <= i)
      std::this_thread::yield();
  }
}
