#include "core/actor/downstream.hpp"
#include "support/actor_fixture.hpp"

#include <atomic>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace ron::test {

/// Asks for something: answered when the test says so, at once, not in place, or by an exception.
struct question {
  enum class kind : std::uint8_t { later, at_once, elsewhere, thrown } is = kind::later;
};
struct reply {
  int value = 0;
};

} // namespace ron::test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::test::question)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::test::reply)

using namespace ron;
using namespace std::chrono_literals;
using core::ec;

namespace ron::test {

using depot_actor = caf::typed_actor<caf::replies_to<question>::with<reply>,
                                     caf::reacts_to<atom::flush, int>>;

class depot_door : public core::door {
public:
  virtual bool takes(const question& q) const = 0;
  virtual void serve(question& q, core::answer_to<reply> to) = 0;
};

} // namespace ron::test

template <>
struct ron::core::door_of<ron::test::depot_actor> {
  using type = ron::test::depot_door;
};

namespace {

using test::depot_actor;
using test::question;
using test::reply;
using kind = question::kind;

struct depot_state {
  static constexpr const char* name = "test.depot";
  std::vector<core::answer_to<reply>> open;
};
using depot_self = core::actor_self<depot_actor, depot_state>;

/// How the depot was asked.
struct counts {
  std::atomic<int> in_place{0};
  std::atomic<int> by_message{0};
};

void serve(depot_self self, const question& q, core::answer_to<reply> to) {
  if (q.is == kind::thrown)
    throw std::runtime_error("broken");
  if (q.is == kind::at_once)
    return to.deliver({1});
  self->state.open.push_back(std::move(to));
}

class door_to_depot final : public test::depot_door {
public:
  door_to_depot(depot_self self, std::shared_ptr<counts> n) : way_(self), n_(std::move(n)) {}
  bool is_free() const noexcept override { return way_.is_free(); }
  bool takes(const question& q) const override { return q.is != kind::elsewhere; }
  void serve(question& q, core::answer_to<reply> to) override {
    ++n_->in_place;
    way_.hand(q, [&to](depot_self self, question& what) { ::serve(self, what, std::move(to)); });
  }

private:
  core::port<depot_self> way_;
  std::shared_ptr<counts> n_;
};

depot_actor::behavior_type make_depot(depot_self self, std::shared_ptr<core::role_table> table,
                                      std::shared_ptr<counts> n) {
  table->open_door(0, std::make_shared<door_to_depot>(self, n));
  return {
    [self, n](const question& q) -> caf::result<reply> {
      ++n->by_message;
      auto promise = self->make_response_promise<reply>();
      serve(self, q, core::answer_to<reply>{promise});
      return promise;
    },
    [self](atom::flush, int value) {
      for (auto& to : std::exchange(self->state.open, {}))
        to.deliver({value});
    },
  };
}

struct asker_state {
  static constexpr const char* name = "test.asker";
};
using asker_self = core::dynamic_self<asker_state>;

struct Door : test::ShardFixture {
  Door() : ShardFixture(1) { make(); }

  void make() {
    depot = spawn(0, make_depot, table, n);
    table->point(0, caf::actor_cast<caf::strong_actor_ptr>(depot));
    test::eventually([&] { return table->complete(); });
    limit = core::semaphore::start(system, "test", 4, [](auto&, auto&) {});
    own(limit.supervisor());
    asker = spawn(0, [this](asker_self self) -> caf::behavior {
      return {
        [this, self](atom::get, kind is, std::chrono::milliseconds budget) {
          call(self, is, budget);
        },
        [self](atom::stop) { self->quit(); },
      };
    });
  }

  void call(asker_self self, kind is, std::chrono::milliseconds budget) {
    core::downstream<depot_actor> depots{core::role_ref<depot_actor>{table}, limit};
    auto* const as = core::probe::running();
    depots.call(static_cast<core::any_actor*>(self), self->clock().now() + budget, question{is})
      .then(
        [this, self, as](const reply& r) {
          EXPECT_EQ(core::probe::running(), as) << "it is told as itself";
          say("reply " + std::to_string(r.value));
          if (r.value == again)
            call(self, kind::at_once, 5s);
        },
        [this, as](const core::error& e) {
          EXPECT_EQ(core::probe::running(), as);
          say(std::string{core::to_string(e.code)});
        });
  }
  void ask_for(kind is, std::chrono::milliseconds budget = 5s) {
    caf::anon_send(asker, atom::get_v, is, budget);
  }
  void flush(int value) { caf::anon_send(depot, atom::flush_v, value); }

  void say(std::string text) {
    std::lock_guard guard{mutex};
    said.push_back(std::move(text));
  }
  std::vector<std::string> heard(std::size_t lines) {
    test::eventually([&] {
      std::lock_guard guard{mutex};
      return said.size() >= lines;
    });
    std::lock_guard guard{mutex};
    return said;
  }
  void asked(int in_place, int by_message) {
    test::eventually([&] { return n->in_place == in_place && n->by_message == by_message; });
    EXPECT_EQ(n->in_place, in_place);
    EXPECT_EQ(n->by_message, by_message);
  }

  static constexpr int again = 7; ///< a reply after which the asker asks once more
  std::shared_ptr<counts> n = std::make_shared<counts>();
  std::shared_ptr<core::role_table> table = core::role_table::make(system);
  depot_actor depot;
  core::semaphore limit;
  caf::actor asker;
  std::mutex mutex;
  std::vector<std::string> said;
};

using lines = std::vector<std::string>;

} // namespace

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::test::question::kind)

TEST_F(Door, ARequestIsServedAndAnsweredInPlaceUnderAPermit) {
  ask_for(kind::later);
  asked(1, 0);
  EXPECT_EQ(limit.stats().in_use, 1u) << "until it is answered";
  const auto record = *core::directory::instance().get(depot.id());
  EXPECT_EQ(record.depth, 0u) << "nothing was in a mailbox";
  EXPECT_NE(record.last.name().find("question"), std::string::npos) << record.last.name();
  flush(3);
  EXPECT_EQ(heard(1), lines{"reply 3"});
  EXPECT_EQ(limit.stats().in_use, 0u);
  asked(1, 0);
}

TEST_F(Door, AnAnswerMayComeAtOnce) {
  ask_for(kind::at_once);
  EXPECT_EQ(heard(1), lines{"reply 1"});
  EXPECT_EQ(limit.stats().in_use, 0u);
  asked(1, 0);
}

TEST_F(Door, WhatIsNotTakenComesAsAMessage) {
  ask_for(kind::elsewhere);
  asked(0, 1);
  flush(4);
  EXPECT_EQ(heard(1), lines{"reply 4"});
  EXPECT_EQ(limit.stats().in_use, 0u);
}

TEST_F(Door, AReplicaThatRunsIsSentAMessage) {
  ask_for(kind::later);
  asked(1, 0);
  flush(again); // the asker asks again while the depot tells it
  EXPECT_EQ(heard(2), (lines{"reply 7", "reply 1"}));
  asked(1, 1);
}

TEST_F(Door, TheDeadlineEndsACallAndALateAnswerIsNobodys) {
  ask_for(kind::later, 20ms);
  EXPECT_EQ(heard(1), lines{"downstream_timeout"});
  EXPECT_EQ(limit.stats().in_use, 0u);
  flush(1);
  ask_for(kind::at_once);
  EXPECT_EQ(heard(2), (lines{"downstream_timeout", "reply 1"}));
}

TEST_F(Door, AnAskerThatHasEndedIsNotToldAndKeepsNoPermit) {
  ask_for(kind::later);
  asked(1, 0);
  const auto id = asker.id();
  caf::anon_send(asker, atom::stop_v);
  test::eventually([&] { return !core::directory::instance().get(id); });
  EXPECT_EQ(limit.stats().in_use, 1u);
  flush(1);
  test::eventually([&] { return limit.stats().in_use == 0; });
  EXPECT_EQ(limit.stats().in_use, 0u);
  EXPECT_EQ(heard(0), lines{});
}

TEST_F(Door, AReplicaThatEndsFailsWhatItHolds) {
  ask_for(kind::later);
  ask_for(kind::later);
  asked(2, 0);
  core::end(depot, caf::exit_reason::kill);
  EXPECT_EQ(heard(2), (lines{"degraded", "degraded"}));
  EXPECT_EQ(limit.stats().in_use, 0u);
}

TEST_F(Door, AnExceptionEndsTheReplicaAndFailsTheCall) {
  ask_for(kind::thrown);
  EXPECT_EQ(heard(1), lines{"degraded"});
  test::eventually([&] { return !core::directory::instance().get(depot.id()); });
  EXPECT_FALSE(core::directory::instance().get(depot.id()));
}

TEST_F(Door, IsClosedWhenThereIsNoReplica) {
  table->point(0, nullptr);
  test::eventually([&] { return !table->complete(); });
  ask_for(kind::at_once);
  EXPECT_EQ(heard(1), lines{"degraded"});
  asked(0, 0);
}
