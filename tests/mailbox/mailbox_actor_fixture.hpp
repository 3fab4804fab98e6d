#pragma once

#include "core/actor/downstream.hpp"
#include "mailbox/mailbox.hpp"
#include "mailbox_fixture.hpp"
#include "support/actor_fixture.hpp"

#include <future>

namespace ron::test {

using statuses = std::vector<receipt_status>;

/// The role on two shards and a journal. `crash` ends actors and journal and starts anew.
struct MailboxActor : ShardFixture {
  test_folder folder;
  core::system_clock clock;
  set_faults injected;
  std::shared_ptr<mailbox_parts> parts;
  std::shared_ptr<core::role_table> table;
  std::vector<mailbox_replica> replicas;

  MailboxActor() { start(); }
  ~MailboxActor() override { stop(); }

  void start() {
    parts = std::make_shared<mailbox_parts>(mailbox_limits{}, clock,
                                            open_journal(folder, clock, &injected));
    table = core::role_table::make(system);
    spawn_replicas();
  }
  void spawn_replicas() {
    replicas.clear();
    for (std::size_t i = 0; i < 2; ++i) {
      replicas.push_back(spawn(i, make_mailbox, parts, table));
      table->point(i, pointer(replicas.back()));
    }
    eventually([&] { return table->complete() && parts->loaded(); });
  }
  void end_replicas() {
    for (auto& r : replicas)
      core::end(r, caf::exit_reason::kill);
    eventually([] { return core::directory::instance().size() == 0; });
  }
  void stop() {
    end_replicas();
    parts->close();
    parts.reset(); // the journal stops with it
    replicas.clear();
  }
  void crash() {
    stop();
    start();
  }
  static caf::strong_actor_ptr pointer(const mailbox_replica& r) {
    return caf::actor_cast<caf::strong_actor_ptr>(r);
  }

  /// Asks as the operations of a wire do, on the shard that holds the topic: in place.
  template <class R, class Request>
  result<R> ask_in_place(Request what) {
    std::promise<result<R>> said;
    auto& home = shards.at(parts->index_of(what.topic) % shards.size());
    core::spawn_on(home, {}, [&](core::dynamic_self<asker_state> self) -> caf::behavior {
      core::downstream<mailbox_actor> box{core::role_ref<mailbox_actor>{table}, {}};
      auto end = [&said, self](result<R> r) {
        said.set_value(std::move(r));
        self->quit();
      };
      box.call(static_cast<core::any_actor*>(self), self->clock().now() + 20s, std::move(what))
        .then([end](const R& r) { end(r); },
              [end](core::error e) { end(std::unexpected{std::move(e)}); });
      return {[](atom::get) {}};
    });
    return said.get_future().get();
  }
  struct asker_state {
    static constexpr const char* name = "test.asker";
  };
  template <class R, class Request>
  result<R> request(std::size_t replica, Request what) {
    return in_place ? ask_in_place<R>(std::move(what)) : ask<R>(replicas[replica], what);
  }
  bool in_place = false;

  result<sent> send(std::string topic, std::string key = {}) {
    outgoing m;
    m.topic = std::move(topic);
    m.payload = core::bytes::copy(std::string_view{"x"});
    m.idempotency_key = std::move(key);
    return request<sent>(0, std::move(m));
  }
  /// Messages with the texts "0", "1", ...
  static outgoing_batch batch_of(std::string topic, std::size_t n, std::string key = {}) {
    outgoing_batch b;
    b.topic = std::move(topic);
    b.idempotency_key = std::move(key);
    for (std::size_t i = 0; i < n; ++i)
      b.messages.emplace_back().payload = core::bytes::copy(std::string_view{std::to_string(i)});
    return b;
  }
  result<sent_batch> send_batch(std::string topic, std::size_t n, std::string key = {}) {
    return request<sent_batch>(0, batch_of(std::move(topic), n, std::move(key)));
  }
  std::vector<delivery> receive(std::string topic, std::chrono::milliseconds wait = 0ms) {
    ::ron::mailbox::receive r;
    r.topic = std::move(topic);
    r.most.messages = 10;
    r.visibility = 60s;
    r.wait_until = std::chrono::steady_clock::now() + wait;
    auto got = request<received>(1, std::move(r));
    return got ? got->messages : std::vector<delivery>{};
  }
  result<settled> ack(std::string topic, std::string receipt) {
    return request<settled>(0, settle{std::move(topic), {std::move(receipt)}, true});
  }
};

} // namespace ron::test
