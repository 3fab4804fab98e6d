#include "support/actor_fixture.hpp"

#include <algorithm>
#include <future>
#include <stdexcept>
#include <string>

using namespace ron;
using namespace std::chrono_literals;

namespace {

/// What is handed over.
struct parcel {
  std::string text;
};

struct child_state;
struct parent_state;
using child_self = core::dynamic_self<child_state>;
using parent_self = core::dynamic_self<parent_state>;

struct parent_state {
  static constexpr const char* name = "test.parent";
  core::port<child_self> child;
  std::string log;
};

struct child_state {
  static constexpr const char* name = "test.child";
  core::port<parent_self> parent;
  std::string log;
};

caf::behavior make_child(child_self self, core::port<parent_self> parent) {
  self->state.parent = std::move(parent);
  self->state.log = "made ";
  return {
    [self](atom::put) { self->state.log += "message "; },
    [self](atom::get) { return self->state.log; },
    [self](atom::stop) { self->quit(); },
  };
}

void take(child_self self, const parcel& p) {
  self->state.log += p.text;
}

struct Port : test::AnyShards {
  /// Runs `f(parent)` as a parent that has a child, and returns what it says. The parent is on the
  /// last shard.
  template <class F>
  std::string as_parent(F f) {
    auto a = spawn(shards.size() - 1, [f](parent_self self) -> caf::behavior {
      self->state.child = core::spawn_port(self, make_child, core::port{self});
      return {
        [f, self](atom::get) { return f(self); },
        [self](atom::stop) {
          self->send(self->state.child.handle(), atom::stop_v);
          self->quit();
        },
      };
    });
    auto said = ask<std::string>(a, atom::get_v);
    caf::anon_send(a, atom::stop_v);
    return said ? *said : said.error().message;
  }
};

} // namespace

TEST_P(Port, RunsAsTheActorAtOnceAndCountsLikeAMessage) {
  auto said = as_parent([](parent_self self) {
    const auto& child = self->state.child;
    const auto id = child.handle().id();
    auto& all = core::directory::instance();
    const auto before = all.get(self->id())->out;
    parcel p{"a"};
    bool as_child = false;
    EXPECT_TRUE(child.hand(p, [&](child_self it, const parcel& x) {
      as_child = core::probe::running()->id == id && it->id() == id
                 && core::shard::current() == &it->home();
      EXPECT_GT(all.get(id)->in_handler, 0ns) << "it is seen to run";
      take(it, x);
    }));
    EXPECT_TRUE(as_child);
    EXPECT_EQ(core::probe::running()->id, self->id());
    const auto record = *all.get(id);
    EXPECT_EQ(record.in, 1u);
    EXPECT_EQ(record.depth, 0u) << "nothing was in a mailbox";
    EXPECT_EQ(record.in_handler, 0ns);
    EXPECT_NE(record.last.name().find("parcel"), std::string::npos) << record.last.name();
    EXPECT_EQ(all.get(self->id())->out, before + 1);
    return std::string{"done"};
  });
  EXPECT_EQ(said, "done");
}

TEST_P(Port, AChildThatNeverRanIsMadeFirst) {
  std::promise<std::string> log;
  auto a = spawn(0, [&](parent_self self) -> caf::behavior {
    auto child = core::spawn_port(self, make_child, core::port{self});
    parcel p{"first"};
    EXPECT_TRUE(child.hand(p, [&](child_self it, const parcel& x) {
      take(it, x);
      log.set_value(it->state.log);
      it->quit();
    }) == false);
    return {[](atom::put) {}};
  });
  EXPECT_EQ(log.get_future().get(), "made first");
}

TEST_P(Port, ComesBeforeTheMessagesThatWait) {
  std::promise<std::string> log;
  auto a = spawn(0, [&](parent_self self) -> caf::behavior {
    self->state.child = core::spawn_port(self, make_child, core::port{self});
    return {[&, self](atom::start) {
      const auto& child = self->state.child;
      self->send(child.handle(), atom::put_v);
      parcel p{"parcel "};
      child.hand(p, [](child_self it, const parcel& x) { take(it, x); });
      self->request(child.handle(), 5s, atom::get_v).then([&, self](const std::string& s) {
        log.set_value(s);
        self->send(self->state.child.handle(), atom::stop_v);
      });
    }};
  });
  caf::anon_send(a, atom::start_v);
  EXPECT_EQ(log.get_future().get(), "made parcel message ");
}

// A child that answers at once hands over to an actor that is in the middle of something.
TEST_P(Port, AnActorThatRunsAlreadyIsEnteredWithinWhatItDoes) {
  auto said = as_parent([](parent_self self) {
    auto& log = self->state.log;
    auto* const message = self->current_mailbox_element();
    EXPECT_NE(message, nullptr);
    parcel p{"b"};
    log = "a";
    EXPECT_TRUE(self->state.child.hand(p, [](child_self it, parcel& x) {
      EXPECT_TRUE(it->state.parent.hand(x, [](parent_self me, const parcel& y) {
        EXPECT_EQ(core::probe::running()->id, me->id());
        EXPECT_EQ(me->current_mailbox_element(), nullptr) << "this is no message";
        me->state.log += y.text;
      }));
      EXPECT_EQ(core::probe::running()->id, it->id());
    }));
    EXPECT_EQ(self->current_mailbox_element(), message);
    EXPECT_GT(core::directory::instance().get(self->id())->in_handler, 0ns);
    return log + "c";
  });
  EXPECT_EQ(said, "abc");
}

TEST_P(Port, AnActorThatHasEndedTakesNothing) {
  auto said = as_parent([](parent_self self) {
    const auto& child = self->state.child;
    const auto id = child.handle().id();
    parcel p;
    EXPECT_FALSE(child.hand(p, [](child_self it, const parcel&) { it->quit(); }))
      << "it has taken its last";
    EXPECT_FALSE(core::directory::instance().get(id));
    EXPECT_FALSE(child.hand(p, [](child_self, const parcel&) { ADD_FAILURE() << "it has ended"; }));
    core::port<child_self> none;
    EXPECT_FALSE(none);
    EXPECT_FALSE(none.hand(p, [](child_self, const parcel&) { ADD_FAILURE() << "nobody"; }));
    return std::string{"done"};
  });
  EXPECT_EQ(said, "done");
}

TEST_P(Port, AnExceptionEndsTheActorAndNotWhoHandsOver) {
  auto said = as_parent([](parent_self self) {
    const auto& child = self->state.child;
    const auto id = child.handle().id();
    parcel p;
    EXPECT_FALSE(child.hand(p, [](child_self, const parcel&) {
      throw std::runtime_error{"a bad parcel"};
    }));
    const auto death = core::directory::instance().deaths().at(0);
    EXPECT_EQ(death.id, id);
    EXPECT_TRUE(death.failed);
    EXPECT_NE(death.reason.find("a bad parcel"), std::string::npos) << death.reason;
    return std::string{"done"};
  });
  EXPECT_EQ(said, "done");
}

TEST_P(Port, AnExceptionWithinARunningActorEndsItWhenItIsThrough) {
  std::promise<void> reached;
  auto a = spawn(0, [&](parent_self self) -> caf::behavior {
    self->state.child = core::spawn_port(self, make_child, core::port{self});
    return {[&, self](atom::start) {
      parcel p;
      EXPECT_TRUE(self->state.child.hand(p, [](child_self it, parcel& x) {
        EXPECT_FALSE(it->state.parent.hand(x, [](parent_self, const parcel&) {
          throw std::runtime_error{"a bad answer"};
        }));
      })) << "the child is not to blame";
      self->send(self->state.child.handle(), atom::stop_v);
      reached.set_value();
    }};
  });
  const auto id = a.id();
  caf::anon_send(a, atom::start_v);
  reached.get_future().wait();
  auto& all = core::directory::instance();
  ASSERT_TRUE(test::eventually([&] { return !all.get(id); }));
  const auto deaths = all.deaths();
  const auto mine = std::ranges::find(deaths, id, &core::death_record::id);
  ASSERT_NE(mine, deaths.end());
  EXPECT_NE(mine->reason.find("a bad answer"), std::string::npos) << mine->reason;
}

TEST_P(Port, TakesNothingFromAnotherThread) {
  std::promise<core::port<child_self>> made;
  auto a = spawn(0, [&](parent_self self) -> caf::behavior {
    self->state.child = core::spawn_port(self, make_child, core::port{self});
    made.set_value(self->state.child);
    return {[](atom::put) {}};
  });
  auto child = made.get_future().get();
  own(child.handle());
  parcel p;
  EXPECT_FALSE(child.is_here());
  EXPECT_THROW(child.hand(p, [](child_self, const parcel&) { ADD_FAILURE() << "not here"; }),
               std::logic_error);
}

TEST_P(Port, TheTimeOfLongHandOversIsBusyTime) {
  auto said = as_parent([](parent_self self) {
    const auto id = self->state.child.handle().id();
    parcel p;
    self->state.child.hand(p, [](child_self, const parcel&) {
      const auto end = std::chrono::steady_clock::now() + 50ms;
      while (std::chrono::steady_clock::now() < end) {
        // works
      }
    });
    EXPECT_GE(core::directory::instance().get(id)->busy, 30ms) << "a tick is 10 ms at most";
    return std::string{"done"};
  });
  EXPECT_EQ(said, "done");
}

INSTANTIATE_TEST_SUITE_P(On, Port, ::testing::Values(1, 2, 3));

// -- without shards ----------------------------------------------------------------------

struct HomelessPort : test::ActorFixture {};

TEST_F(HomelessPort, WorksUnderTheTestScheduler) {
  std::string log;
  auto a = spawn([&](parent_self self) -> caf::behavior {
    self->state.child = core::spawn_port(self, make_child, core::port{self});
    own(self->state.child.handle());
    return {[&, self](atom::put) {
      parcel p{"parcel"};
      EXPECT_TRUE(self->state.child.hand(p, [](child_self it, const parcel& x) { take(it, x); }));
      self->state.child.hand(p, [&](child_self it, const parcel&) { log = it->state.log; });
    }};
  });
  caf::anon_send(a, atom::put_v);
  run();
  EXPECT_EQ(log, "made parcel");
}
