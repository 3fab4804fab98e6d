#include "support/actor_fixture.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

#include <future>
#include <memory>
#include <optional>
#include <stdexcept>

using namespace ron;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

// An actor with a "socket": a timer that fires when it is told to.
struct edge_state {
  static constexpr const char* name = "test.edge";
  std::optional<asio::steady_timer> timer;
  int fired = 0;
};
using edge_self = core::dynamic_self<edge_state>;

struct flusher_state {
  static constexpr const char* name = "test.flusher";
  int buffered = 0;
  int flushes = 0;
};

template <class F>
void when_fired(edge_self self, F f) {
  auto& timer = self->state.timer.emplace(self->home().io(), 0ms);
  timer.async_wait(self->bind([f](boost::system::error_code e) {
    if (!e)
      f();
  }));
}

struct Homed : test::AnyShards {
  core::directory& all = core::directory::instance();
};

} // namespace

TEST_P(Homed, ABoundHandlerRunsAsTheActorOnItsShard) {
  std::promise<int> answered;
  auto fun = [&](edge_self self) -> caf::behavior {
    when_fired(self, [&, self] {
      EXPECT_EQ(core::shard::current(), &self->home());
      EXPECT_EQ(core::probe::running()->id, self->id());
      ++self->state.fired;
      self->request(caf::actor_cast<caf::actor>(self), 5s, atom::get_v)
        .then([&](int n) { answered.set_value(n); });
    });
    return {[self](atom::get) { return self->state.fired; }};
  };
  auto a = spawn(shards.size() - 1, fun);
  EXPECT_EQ(answered.get_future().get(), 1);
}

TEST_P(Homed, AHandlerThatThrowsEndsTheActorAndNothingElse) {
  auto fun = [](edge_self self) -> caf::behavior {
    when_fired(self, [] { throw std::runtime_error{"bad frame"}; });
    return {[](atom::get) { return 0; }};
  };
  auto id = spawn(0, fun).id();
  ASSERT_TRUE(test::eventually([&] { return !all.get(id); }));
  auto deaths = all.deaths();
  ASSERT_EQ(deaths.at(0).id, id);
  EXPECT_TRUE(deaths[0].failed);
  EXPECT_NE(deaths[0].reason.find("bad frame"), std::string::npos) << deaths[0].reason;
  EXPECT_TRUE(shards.at(0).submit([] {}));
}

TEST_P(Homed, AHandlerIsNotCalledAfterTheActorHasEnded) {
  std::promise<void> posted;
  auto alive = std::make_shared<bool>(true);
  auto fun = [&](edge_self self) -> caf::behavior {
    // The handler is queued before the actor quits and comes up after.
    asio::post(self->home().io(), self->bind([&] { ADD_FAILURE() << "it has ended"; }));
    asio::post(self->home().io(), [&] { posted.set_value(); });
    self->quit();
    return {};
  };
  core::spawn_on(shards.at(0), {}, fun);
  posted.get_future().wait();
}

TEST_P(Homed, EnterWithinTheActorIsAPlainCall) {
  std::promise<std::string> log;
  auto fun = [&](edge_self self) -> caf::behavior {
    return {[&, self](atom::get) -> caf::result<int> {
      std::string s = "a";
      self->enter([&] { s += "b"; });
      auto promise = self->make_response_promise<int>(); // the message is still the current one
      EXPECT_TRUE(promise.pending());
      promise.deliver(1);
      log.set_value(s + "c");
      return caf::delegated<int>{};
    }};
  };
  EXPECT_EQ(ask<int>(spawn(0, fun), atom::get_v), 1);
  EXPECT_EQ(log.get_future().get(), "abc");
}

TEST_P(Homed, DefersOnceForManyMessagesOfATurn) {
  std::promise<std::pair<int, int>> result;
  auto fun = [&](core::dynamic_self<flusher_state> self) -> caf::behavior {
    return {[&, self](atom::put) {
      ++self->state.buffered;
      self->defer([&, self] {
        EXPECT_EQ(core::probe::running()->id, self->id());
        ++self->state.flushes;
        if (self->state.buffered == 50)
          result.set_value({self->state.buffered, self->state.flushes});
      });
    }};
  };
  auto flusher = spawn(0, fun);
  // Fifty senders on the same shard, all ready in the same turn.
  auto sender = [=](edge_self self) {
    self->send(flusher, atom::put_v);
    self->quit();
  };
  std::promise<void> spawned;
  shards.at(0).submit([&] {
    for (int i = 0; i < 50; ++i)
      core::spawn_on(shards.at(0), {}, sender);
    spawned.set_value();
  });
  spawned.get_future().wait();
  auto [buffered, flushes] = result.get_future().get();
  EXPECT_EQ(buffered, 50);
  EXPECT_LE(flushes, 3) << "one per turn";
}

TEST_P(Homed, KeepsMoveOnlyArgumentsForTheActor) {
  auto fun = [](edge_self, std::unique_ptr<int> n, std::string text) -> caf::behavior {
    return {[value = *n + static_cast<int>(text.size())](atom::get) { return value; }};
  };
  auto a = spawn(0, fun, std::make_unique<int>(40), "ab");
  EXPECT_EQ(ask<int>(a, atom::get_v), 42);
}

INSTANTIATE_TEST_SUITE_P(On, Homed, ::testing::Values(1, 2, 3));

// -- without shards ----------------------------------------------------------------------

struct Homeless : test::ActorFixture {};

TEST_F(Homeless, DeferWorksUnderTheTestScheduler) {
  std::string log;
  auto fun = [&](edge_self self) -> caf::behavior {
    return {[&, self](atom::put) {
      self->defer([&] { log += "later"; });
      log += "now ";
    }};
  };
  auto a = spawn(fun);
  caf::anon_send(a, atom::put_v);
  run();
  EXPECT_EQ(log, "now later");
}

TEST_F(Homeless, AskingForAHomeEndsTheActor) {
  auto fun = [](edge_self self) -> caf::behavior {
    return {[self](atom::get) { return static_cast<int>(self->home().index()); }};
  };
  auto a = spawn(fun);
  EXPECT_EQ(ask<int>(a, atom::get_v)->error().code, core::ec::internal);
}
