#pragma once

/// Fixtures for tests of actors. `ActorFixture` runs them on CAF's test scheduler: one thread,
/// virtual time, nothing happens until `run` or `advance`. `ShardFixture` runs them on real
/// shards. Both end the actors they own in their destructor, so that a failed ASSERT does not
/// leave the process waiting for an actor.

#include "core/actor/actor.hpp"
#include "core/actor/directory.hpp"
#include "core/actor/mailbox_bounds.hpp"
#include "support/eventually.hpp"

#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <gtest/gtest.h>

#include <chrono>
#include <cstddef>
#include <expected>
#include <memory>
#include <optional>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

namespace ron::test {

/// Actors that a test owns.
class owned_actors {
public:
  template <class Handle>
  Handle add(Handle h) {
    actors_.push_back(caf::actor_cast<caf::strong_actor_ptr>(h));
    return h;
  }
  void kill_all() {
    for (auto& a : actors_)
      core::end(a, caf::exit_reason::kill);
    actors_.clear();
  }

private:
  std::vector<caf::strong_actor_ptr> actors_;
};

class ActorFixture : public ::testing::Test {
public:
  ActorFixture() : system(config), scheduler(dynamic_cast<coordinator&>(system.scheduler())) {}
  ~ActorFixture() override {
    owned_.kill_all();
    scheduler.run();
    scheduler.trigger_timeouts();
    scheduler.run();
    core::mailbox_bounds::reset();
  }

  /// Ends with the test.
  template <class Handle>
  Handle own(Handle h) {
    return owned_.add(std::move(h));
  }
  /// Spawns what ends with the test.
  template <class F, class... Ts>
  auto spawn(F fun, Ts&&... args) {
    return own(core::spawn_in(system, {}, std::move(fun), std::forward<Ts>(args)...));
  }

  /// Handles messages until none is left. Time stands still.
  void run() { scheduler.run(); }
  /// Handles messages, lets `d` pass, handles what that has caused.
  void advance(std::chrono::nanoseconds d) {
    scheduler.run();
    scheduler.clock().advance_time(d);
    scheduler.run();
  }
  /// The virtual time that deadlines are made of.
  core::instant now() { return scheduler.clock().now(); }

  /// Sends a request and handles messages until none is left. None while it is unanswered; virtual
  /// time may then be advanced. `R` is the type of the answer.
  template <class R, class Handle, class... Ts>
  std::optional<core::result<R>> ask(const Handle& to, Ts&&... message) {
    auto answer = std::make_shared<std::optional<core::result<R>>>();
    own(core::spawn_in(system, {}, [&, answer](caf::event_based_actor* self) {
      self->request(to, caf::infinite, std::forward<Ts>(message)...)
        .then([answer](const R& value) { answer->emplace(value); },
              [answer](const caf::error& e) {
                answer->emplace(std::unexpected{core::to_error(e)});
              });
    }));
    run();
    return *answer;
  }

private:
  using coordinator = caf::scheduler::test_coordinator;
  struct test_config : caf::actor_system_config {
    test_config() {
      set("scheduler.policy", caf::atom("testing"));
      add_error_category(caf::atom("ron"), core::render_error);
    }
  };
  test_config config;

public:
  caf::actor_system system;
  coordinator& scheduler;

private:
  owned_actors owned_;
};

/// Configuration of an actor system on `n` shards.
struct shard_config : caf::actor_system_config {
  explicit shard_config(std::size_t n) {
    core::configure_actors(*this);
    set("scheduler.max-threads", n);
  }
};

/// Real threads: two shards, or as many as the derived fixture says.
class ShardFixture : public ::testing::Test {
public:
  explicit ShardFixture(std::size_t n = 2)
    : config(n), system(config), shards(core::shards::of(system)) {
    // nop
  }
  ~ShardFixture() override {
    owned_.kill_all();
    core::mailbox_bounds::reset();
  }

  /// Ends with the test.
  template <class Handle>
  Handle own(Handle h) {
    return owned_.add(std::move(h));
  }
  /// Spawns on shard `i` what ends with the test.
  template <class F, class... Ts>
  auto spawn(std::size_t i, F fun, Ts&&... args) {
    return own(core::spawn_on(shards.at(i), {}, std::move(fun), std::forward<Ts>(args)...));
  }

  /// Sends a request from this thread and waits for the answer, at most 20 s.
  template <class R, class Handle, class... Ts>
  core::result<R> ask(const Handle& to, Ts&&... message) {
    core::result<R> answer = core::fail(core::ec::internal, "no answer");
    caf::scoped_actor self{system};
    self->request(to, std::chrono::seconds{20}, std::forward<Ts>(message)...)
      .receive([&](const R& value) { answer = value; },
               [&](const caf::error& e) { answer = std::unexpected{core::to_error(e)}; });
    return answer;
  }

  shard_config config;
  caf::actor_system system;
  core::shards& shards;

private:
  owned_actors owned_;
};

/// `ShardFixture` on 1, 2 and 3 shards: `TEST_P(AnyShards, ...)`.
class AnyShards : public ShardFixture, public ::testing::WithParamInterface<std::size_t> {
public:
  AnyShards() : ShardFixture(GetParam()) {}
};

} // namespace ron::test
