#include "support/actor_fixture.hpp"

#include <caf/skip.hpp>

#include <stdexcept>
#include <vector>

using namespace ron;
using namespace std::chrono_literals;
using core::ec;

namespace {

// Counts `write`; forgets nobody's request; throws when asked to.
using counter_actor = caf::typed_actor<caf::replies_to<atom::write, int>::with<int>,
                                       caf::reacts_to<atom::put, int>, caf::reacts_to<atom::tick>,
                                       caf::replies_to<atom::abort>::with<int>>;
struct counter_state {
  static constexpr const char* name = "test.counter";
  int written = 0;
  int ticks = 0;
};
using counter_self = core::actor_self<counter_actor, counter_state>;

counter_actor::behavior_type make_counter(counter_self self) {
  return {
    [self](atom::write, int) { return ++self->state.written; },
    [self](atom::put, int) { ++self->state.written; },
    [self](atom::tick) { ++self->state.ticks; },
    [](atom::abort) -> caf::result<int> { throw std::runtime_error{"as you wish"}; },
  };
}

core::actor_record record_of(const counter_actor& a) {
  return core::directory::instance().get(a.id()).value_or(core::actor_record{});
}

struct Bounded : test::ActorFixture {
  counter_actor spawn_counter(std::uint32_t bound) {
    auto c = own(core::spawn_in(system, {.bound = bound}, make_counter));
    run();
    return c;
  }
};

} // namespace

TEST_F(Bounded, DropsPlainMessagesAtTheBoundAndCountsThem) {
  auto before = core::bus_overflow_dropped_total();
  auto c = spawn_counter(8);
  for (int i = 0; i < 12; ++i)
    caf::anon_send(c, atom::put_v, i);
  EXPECT_EQ(record_of(c).depth, 8u);
  EXPECT_EQ(record_of(c).dropped, 4u);
  EXPECT_EQ(core::bus_overflow_dropped_total() - before, 4u);
  run();
  EXPECT_EQ(record_of(c).depth, 0u);
  EXPECT_EQ(record_of(c).in, 8u);
  EXPECT_EQ(record_of(c).high_water, 8u);
}

TEST_F(Bounded, AnswersARefusedRequestAtOnce) {
  auto c = spawn_counter(1);
  std::vector<core::error> errors;
  own(core::spawn_in(system, {}, [&](caf::event_based_actor* self) {
    self->send(c, atom::put_v, 0);
    self->request(c, 1s, atom::write_v, 1)
      .then([](int) { FAIL() << "there was no room"; },
            [&](const caf::error& e) { errors.push_back(core::to_error(e)); });
  }));
  run();
  EXPECT_EQ(errors, std::vector{(core::error{ec::busy, "mailbox_full"})});
  EXPECT_EQ(record_of(c).refused, 1u);
  EXPECT_EQ(*ask<int>(c, atom::write_v, 1), 2) << "and there is room again";
}

TEST_F(Bounded, TheBoundOfATypeHoldsFromTheFirstMessage) {
  core::mailbox_bounds::set("test.counter", 3);
  auto c = own(core::spawn_in(system, {}, make_counter));
  for (int i = 0; i < 10; ++i) // before it has run at all
    caf::anon_send(c, atom::put_v, i);
  EXPECT_EQ(record_of(c).bound, 3u);
  EXPECT_EQ(record_of(c).high_water, 3u);
}

TEST_F(Bounded, ALiveBoundCanBeChanged) {
  auto c = spawn_counter(1);
  ASSERT_TRUE(core::directory::instance().set_bound(c.id(), 2));
  for (int i = 0; i < 3; ++i)
    caf::anon_send(c, atom::put_v, i);
  EXPECT_EQ(record_of(c).depth, 2u);
}

TEST_F(Bounded, ControlMessagesAlwaysPass) {
  auto c = spawn_counter(1);
  caf::anon_send(c, atom::put_v, 0);
  caf::anon_send<caf::message_priority::high>(c, atom::tick_v);
  core::end(c);
  EXPECT_EQ(record_of(c).dropped, 0u);
  run();
  EXPECT_FALSE(core::directory::instance().get(c.id())) << "the exit was not refused";
}

TEST_F(Bounded, ExitOfNormalPriorityPassesToo) {
  auto c = spawn_counter(1);
  caf::anon_send(c, atom::put_v, 0);
  caf::anon_send_exit(c, caf::exit_reason::user_shutdown);
  run();
  EXPECT_FALSE(core::directory::instance().get(c.id()));
}

namespace {
struct watcher_state {
  static constexpr const char* name = "test.watcher";
  int ticks = 0;
  int downs = 0;
};
using watcher_self = core::dynamic_self<watcher_state>;
caf::behavior make_watcher(watcher_self self, counter_actor watched, int* ticks, int* downs) {
  self->monitor(watched);
  self->set_down_handler([downs](caf::down_msg&) { ++*downs; });
  self->delayed_send(self, 1s, atom::tick_v);
  return {[ticks](atom::tick) { ++*ticks; }, [](atom::put, int) {}};
}
} // namespace

TEST_F(Bounded, OwnTimersAndDownMessagesPassAFullMailbox) {
  auto c = spawn_counter(8);
  int ticks = 0;
  int downs = 0;
  auto w = own(core::spawn_in(system, {.bound = 1}, make_watcher, c, &ticks, &downs));
  run();
  caf::anon_send(w, atom::put_v, 0);
  caf::anon_send(w, atom::put_v, 0);
  EXPECT_EQ(core::directory::instance().get(w.id())->dropped, 1u) << "it is full";
  scheduler.clock().advance_time(1s); // the timer meets the full mailbox
  core::end(c);
  run();
  EXPECT_EQ(ticks, 1);
  EXPECT_EQ(downs, 1);
}

TEST_F(Bounded, AHandlerThatThrowsAnswersItsRequestAndEndsTheActor) {
  auto c = spawn_counter(8);
  auto id = c.id();
  auto answer = ask<int>(c, atom::abort_v);
  ASSERT_TRUE(answer && !*answer);
  EXPECT_EQ(answer->error(), (core::error{ec::internal, "as you wish"}));
  auto deaths = core::directory::instance().deaths();
  ASSERT_FALSE(deaths.empty());
  EXPECT_EQ(deaths[0].id, id);
  EXPECT_TRUE(deaths[0].failed);
  EXPECT_EQ(deaths[0].last[0].name(), "abort");
  EXPECT_EQ(ask<int>(c, atom::write_v, 1)->error().code, ec::degraded) << "nobody is left";
}

TEST_F(Bounded, AResponseCancelsItsTimeout) {
  auto c = spawn_counter(8);
  bool answered = false;
  auto fun = [&](core::dynamic_self<watcher_state> self) {
    self->request(c, 30s, atom::write_v, 1).then([&](int) { answered = true; });
  };
  own(core::spawn_in(system, {}, fun));
  run();
  EXPECT_TRUE(answered);
  EXPECT_FALSE(scheduler.has_pending_timeout());
}

namespace {
caf::behavior make_skipper(watcher_self self, int* handled) {
  self->set_default_handler(caf::skip);
  return {[self, handled](atom::open) {
    self->become([handled](atom::put, int) { ++*handled; });
  }};
}
caf::behavior make_awaiter(watcher_self self, caf::actor helper, int* handled) {
  return {[self, helper](atom::open) {
            self->request(helper, caf::infinite, atom::get_v).await([](int) {});
          },
          [handled](atom::put, int) { ++*handled; }};
}
caf::behavior make_helper(watcher_self) {
  return {[](atom::get) { return 1; }};
}
} // namespace

TEST_F(Bounded, ASkippedMessageStaysCounted) {
  int handled = 0;
  auto a = own(core::spawn_in(system, {.bound = 8}, make_skipper, &handled));
  run();
  for (int i = 0; i < 5; ++i)
    caf::anon_send(a, atom::put_v, i);
  run();
  auto depth = [&] { return core::directory::instance().get(a.id())->depth; };
  EXPECT_EQ(depth(), 5u);
  caf::anon_send(a, atom::open_v);
  run();
  EXPECT_EQ(handled, 5);
  EXPECT_EQ(depth(), 0u);
}

TEST_F(Bounded, AMessageHeldBackByAwaitStaysCounted) {
  int handled = 0;
  auto helper = spawn(make_helper);
  auto a = own(core::spawn_in(system, {.bound = 8}, make_awaiter, helper, &handled));
  run();
  caf::anon_send(a, atom::open_v);
  for (int i = 0; i < 12; ++i)
    caf::anon_send(a, atom::put_v, i);
  auto record = [&] { return *core::directory::instance().get(a.id()); };
  EXPECT_EQ(record().depth, 8u);
  EXPECT_EQ(record().dropped, 5u);
  run();
  EXPECT_EQ(handled, 7);
  EXPECT_EQ(record().depth, 0u);
}
