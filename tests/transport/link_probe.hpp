#pragma once

#include "core/actor/actor.hpp"
#include "support/actor_fixture.hpp"
#include "transport/link.hpp"

#include <condition_variable>
#include <functional>
#include <future>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace ron::test {

/// What an owner has heard from its link so far; looked at by the test's thread.
struct link_record {
  bool opened = false;
  transport::link_info info;
  std::string got;               ///< all bytes read
  std::size_t reads = 0;
  std::vector<const std::uint8_t*> places; ///< where each slice lay
  std::optional<bool> read_end;  ///< clean?
  std::size_t written = 0;       ///< calls of link_written
  std::optional<core::error> failed;
};

/// An actor that owns one link and does what the test says. `Mode::echo` answers every read.
class link_probe {
public:
  enum class mode { manual, echo, sink };

  /// `make` builds the link on the shard.
  using factory = std::function<transport::link_ptr(core::shard&, transport::link_owner)>;

  link_probe(ShardFixture& fixture, std::size_t shard, mode m, factory make)
    : shared_(std::make_shared<shared>()) {
    shared_->behaviour = m;
    actor_ = fixture.spawn(shard, run, shared_, std::move(make));
  }

  /// Runs `f` as the actor, and waits for it.
  void act(std::function<void(transport::link&)> f) {
    std::promise<void> done;
    auto finished = done.get_future();
    caf::anon_send(actor_, command{std::make_shared<std::function<void(transport::link&)>>(
                             [&](transport::link& x) {
                               f(x);
                               done.set_value();
                             })});
    finished.get();
  }

  /// Ends the actor.
  void kill() { core::end(caf::actor_cast<caf::strong_actor_ptr>(actor_), caf::exit_reason::kill); }

  /// Waits until `condition(record)`; false after 20 s.
  template <class F>
  bool until(F condition) {
    std::unique_lock lock{shared_->mutex};
    return shared_->changed.wait_for(lock, std::chrono::seconds{20},
                                     [&] { return condition(shared_->record); });
  }

  link_record record() const {
    std::lock_guard lock{shared_->mutex};
    return shared_->record;
  }

  struct command {
    std::shared_ptr<std::function<void(transport::link&)>> f;
  };

private:
  struct shared {
    std::mutex mutex;
    std::condition_variable changed;
    link_record record;
    mode behaviour = mode::manual;
  };

  struct state : transport::link_events {
    static constexpr const char* name = "test.connection";
    std::shared_ptr<shared> out;
    transport::link_ptr link;

    virtual ~state() {
      if (link)
        link->close();
    }
    template <class F>
    void note(F f) {
      std::lock_guard lock{out->mutex};
      f(out->record);
      out->changed.notify_all();
    }
    void link_opened(const transport::link_info& info) override {
      note([&](auto& r) {
        r.opened = true;
        r.info = info;
      });
      if (out->behaviour != mode::manual)
        link->read();
    }
    void link_read(core::bytes slice) override {
      note([&](auto& r) {
        r.got += slice.text();
        ++r.reads;
        r.places.push_back(slice.data());
      });
      if (out->behaviour == mode::echo) {
        std::vector<core::bytes> answer{slice};
        link->write(answer);
      }
      if (out->behaviour != mode::manual && link->backlog() == 0)
        link->read();
    }
    void link_read_end(bool clean) override {
      note([&](auto& r) { r.read_end = clean; });
      if (out->behaviour == mode::echo)
        link->shutdown_write();
    }
    void link_written() override {
      note([](auto& r) { ++r.written; });
      if (out->behaviour == mode::echo && !out->record.read_end)
        link->read();
    }
    void link_failed(const core::error& why) override {
      note([&](auto& r) { r.failed = why; });
    }
  };

  static caf::behavior run(core::dynamic_self<state> self, std::shared_ptr<shared> out,
                           factory make) {
    self->state.out = std::move(out);
    self->state.link = make(self->home(), transport::link_owner{self, self->state});
    self->state.link->start();
    return {[self](command& c) { (*c.f)(*self->state.link); }};
  }

  std::shared_ptr<shared> shared_;
  caf::actor actor_;
};

} // namespace ron::test

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(ron::test::link_probe::command)
