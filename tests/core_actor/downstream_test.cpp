#include "core/actor/downstream.hpp"
#include "support/actor_fixture.hpp"

#include <functional>
#include <memory>
#include <vector>

using namespace ron;
using namespace std::chrono_literals;
using core::ec;

namespace {

// Answers when the test says so.
using depot_actor =
    caf::typed_actor<caf::replies_to<atom::get, int>::with<int>,
                     caf::reacts_to<atom::flush, int, int>, caf::reacts_to<atom::abort, int>>;
struct depot_state {
  static constexpr const char* name = "test.depot";
  std::vector<caf::typed_response_promise<int>> open;
};

depot_actor::behavior_type make_depot(core::actor_self<depot_actor, depot_state> self, int* asked) {
  auto& open = self->state.open;
  return {
      [self, &open, asked](atom::get, int) {
        ++*asked;
        return open.emplace_back(self->make_response_promise<int>());
      },
      [&open](atom::flush, int i, int value) {
        open.at(static_cast<std::size_t>(i)).deliver(value);
      },
      [&open](atom::abort, int i) {
        open.at(static_cast<std::size_t>(i))
            .deliver(core::to_caf(core::error{ec::not_found, "no such thing"}));
      },
  };
}

struct caller_state {
  static constexpr const char* name = "test.caller";
};
using typed_caller = caf::typed_actor<caf::reacts_to<atom::tick>>;

struct Downstream : test::ActorFixture {
  int asked = 0; // requests that have reached the depot
  depot_actor depot = spawn(make_depot, &asked);
  std::shared_ptr<core::role_table> table = core::role_table::make(system);
  core::role_ref<depot_actor> role{table};
  core::semaphore limit = core::semaphore::start(system, "test", 1, 1, [](auto&, auto&) {});
  core::downstream<depot_actor> downstream{role, limit};
  std::vector<int> values;
  std::vector<core::error> errors;

  Downstream() {
    own(limit.supervisor());
    table->point(0, caf::actor_cast<caf::strong_actor_ptr>(depot));
    run();
  }
  void answer(int i, int value) {
    caf::anon_send(depot, atom::flush_v, i, value);
    run();
  }

  // A caller known only as an event-based actor, as the operations of a wire see it.
  void call(int n, std::chrono::milliseconds budget = 1s, bool further = false) {
    own(core::spawn_in(
        system, {}, [this, n, budget, further](caf::event_based_actor* self) -> caf::behavior {
          auto request = further ? downstream.further(self, now() + budget, atom::get_v, n)
                                 : downstream.call(self, now() + budget, atom::get_v, n);
          std::move(request).then([this](int value) { values.push_back(value); },
                                  [this](core::error e) { errors.push_back(std::move(e)); });
          return {[](atom::tick) {
          }};
        }));
    run();
  }
  std::vector<ec> codes() const {
    std::vector<ec> out;
    for (auto& e : errors)
      out.push_back(e.code);
    return out;
  }
};

} // namespace

TEST_F(Downstream, BringsTheAnswerAndGivesThePermitBack) {
  call(7);
  ASSERT_EQ(asked, 1);
  EXPECT_EQ(limit.stats().in_use, 1u);
  answer(0, 70);
  EXPECT_EQ(values, std::vector{70});
  EXPECT_EQ(limit.stats().in_use, 0u);
}

TEST_F(Downstream, WorksForTypedCallers) {
  auto fun =
      [this](core::actor_self<typed_caller, caller_state> self) -> typed_caller::behavior_type {
    downstream.call(self, now() + 1s, atom::get_v, 1)
        .then([this](int value) { values.push_back(value); }, [](core::error) {});
    return {[](atom::tick) {
    }};
  };
  spawn(fun);
  run();
  answer(0, 3);
  EXPECT_EQ(values, std::vector{3});
}

TEST_F(Downstream, WaitsInLineAndShedsBeyondIt) {
  call(1);
  call(2);
  call(3);
  EXPECT_EQ(asked, 1) << "one permit, one request";
  EXPECT_EQ(codes(), std::vector{ec::busy});
  EXPECT_GT(errors[0].retry_after_ms, 0u);
  answer(0, 10);
  ASSERT_EQ(asked, 2);
  answer(1, 20);
  EXPECT_EQ(values, (std::vector{10, 20}));
}

TEST_F(Downstream, WhatHasBegunWaitsWhereNewWorkIsShed) {
  call(1);
  call(2);
  call(3, 1s, true);
  EXPECT_TRUE(errors.empty());
  answer(0, 10);
  answer(1, 20);
  answer(2, 30);
  EXPECT_EQ(values, (std::vector{10, 20, 30}));
  EXPECT_EQ(limit.stats().shed, 0u);
}

TEST_F(Downstream, TheDeadlineCoversTheWaitAndTheAnswer) {
  call(1, 10s);
  call(2, 300ms);
  advance(250ms);
  EXPECT_TRUE(errors.empty());
  answer(0, 10); // the second call now has 50 ms left for its answer
  EXPECT_EQ(asked, 2);
  advance(60ms);
  EXPECT_EQ(codes(), std::vector{ec::downstream_timeout});
  EXPECT_EQ(limit.stats().in_use, 0u) << "the permit does not wait for the late answer";
  answer(1, 20);
  EXPECT_EQ(values, std::vector{10}) << "exactly one of the two handlers";
}

TEST_F(Downstream, AWaiterWhoseDeadlinePassesIsAnswered) {
  call(1, 10s);
  call(2, 100ms);
  advance(101ms);
  advance(20ms);
  EXPECT_EQ(codes(), std::vector{ec::downstream_timeout});
  EXPECT_EQ(limit.stats().waiting, 0u);
}

TEST_F(Downstream, NothingIsSentWhenNoTimeIsLeft) {
  call(1, 0ms);
  EXPECT_EQ(asked, 0);
  EXPECT_EQ(codes(), std::vector{ec::downstream_timeout});
}

TEST_F(Downstream, AnAbsentRoleIsAnsweredAtOnce) {
  table->point(0, nullptr);
  call(1);
  EXPECT_EQ(codes(), std::vector{ec::degraded});
  EXPECT_EQ(limit.stats().in_use, 0u);
}

TEST_F(Downstream, ARoleThatGoesWhileACallWaitsIsAnsweredWhenItsTurnComes) {
  call(1);
  call(2);
  table->point(0, nullptr);
  answer(0, 1);
  EXPECT_EQ(codes(), std::vector{ec::degraded});
  EXPECT_EQ(limit.stats().in_use, 0u);
}

TEST_F(Downstream, ErrorsOfTheDownstreamComeThrough) {
  call(1);
  caf::anon_send(depot, atom::abort_v, 0);
  run();
  EXPECT_EQ(errors, std::vector{(core::error{ec::not_found, "no such thing"})});
}

TEST_F(Downstream, ACallerThatEndsGivesItsPermitBack) {
  caf::actor caller =
      own(core::spawn_in(system, {}, [this](caf::event_based_actor* self) -> caf::behavior {
        downstream.call(self, now() + 1s, atom::get_v, 1)
            .then([](int) { FAIL(); }, [](core::error) { FAIL(); });
        return {[](atom::tick) {
        }};
      }));
  run();
  EXPECT_EQ(limit.stats().in_use, 1u);
  core::end(caller, caf::exit_reason::kill);
  caller = nullptr;
  run();
  scheduler.trigger_timeouts();
  run();
  EXPECT_EQ(limit.stats().in_use, 0u);
}

TEST_F(Downstream, WithoutASemaphoreThereIsNoLimit) {
  downstream = core::downstream<depot_actor>{role, {}};
  for (int i = 0; i < 5; ++i)
    call(i);
  EXPECT_EQ(asked, 5);
  EXPECT_TRUE(errors.empty());
}
