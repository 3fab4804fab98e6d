#pragma once

#include "mailbox/mailbox.hpp"
#include "mailbox_fixture.hpp"
#include "support/actor_fixture.hpp"

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

  result<sent> send(std::string topic, std::string key = {}) {
    outgoing m;
    m.topic = std::move(topic);
    m.payload = core::bytes::copy(std::string_view{"x"});
    m.idempotency_key = std::move(key);
    return ask<sent>(replicas[0], std::move(m));
  }
  std::vector<delivery> receive(std::string topic, std::chrono::milliseconds wait = 0ms) {
    ::ron::mailbox::receive r;
    r.topic = std::move(topic);
    r.most.messages = 10;
    r.visibility = 60s;
    r.wait_until = std::chrono::steady_clock::now() + wait;
    auto got = ask<received>(replicas[1], r);
    return got ? got->messages : std::vector<delivery>{};
  }
  result<settled> ack(std::string topic, std::string receipt) {
    return ask<settled>(replicas[0], settle{std::move(topic), {std::move(receipt)}, true});
  }
};

} // namespace ron::test
