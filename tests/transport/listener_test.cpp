#include "support/actor_fixture.hpp"
#include "transport/listener.hpp"
#include "transport/sockets.hpp"

#include <gtest/gtest.h>

#include <sys/resource.h>
#include <sys/un.h>
#include <unistd.h>

#include <mutex>
#include <set>

namespace {

using namespace ron;
using transport::accepted;
using transport::connection_budget;
using transport::refusal;

/// Listeners whose connections are kept in a list instead of an actor.
class Listener : public test::ShardFixture {
protected:
  ~Listener() override {
    for (auto& a : actors)
      core::end(caf::actor_cast<caf::strong_actor_ptr>(a), caf::exit_reason::kill);
  }

  void start(core::config::host_port where = {"127.0.0.1", 0}) {
    auto started = transport::start_listeners(shards, where, {}, settings(), factory());
    ASSERT_TRUE(started) << started.error().message;
    address = started->address;
    actors = started->actors;
  }

  transport::listener_settings settings() {
    return {.label = transport::entrance::http,
            .budget = budget,
            .metrics = metrics,
            .refusal = core::bytes::literal("full\n")};
  }

  transport::connection_factory factory() {
    return [this](caf::local_actor*, accepted c) {
      std::lock_guard lock{mutex};
      used_shards.insert(core::shard::current()->index());
      held.push_back(std::move(c));
    };
  }

  std::size_t count() {
    std::lock_guard lock{mutex};
    return held.size();
  }

  core::metrics::registry registry;
  std::shared_ptr<transport::socket_metrics> metrics
    = std::make_shared<transport::socket_metrics>(registry);
  std::shared_ptr<connection_budget> budget
    = std::make_shared<connection_budget>(transport::connection_limits{100, 100, 1'024});
  core::config::host_port address;
  std::vector<transport::listener_actor> actors;
  std::mutex mutex;
  std::vector<accepted> held;
  std::set<std::size_t> used_shards;
};

TEST_F(Listener, SpreadsConnectionsOverShards) {
  start();
  EXPECT_NE(address.port, 0);
  std::vector<transport::unique_fd> clients;
  for (int i = 0; i < 64; ++i) {
    clients.push_back(test::connect_to(address.port));
    ASSERT_TRUE(clients.back());
  }
  ASSERT_TRUE(test::eventually([&] { return count() == 64; }));
  EXPECT_EQ(used_shards.size(), 2u);
  EXPECT_EQ(metrics->accepted.value(transport::entrance::http), 64u);
  EXPECT_EQ(budget->connections(), 64u);
  std::lock_guard lock{mutex};
  EXPECT_TRUE(held[0].peer.text.starts_with("127.0.0.1:")) << held[0].peer.text;
  int on = 0;
  socklen_t n = sizeof on;
  ::getsockopt(held[0].fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, &n);
  EXPECT_EQ(on, 1);
}

TEST_F(Listener, AddressInUseIsAConflict) {
  start();
  auto again = transport::start_listeners(shards, address, {}, settings(), factory());
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, core::ec::conflict);
  EXPECT_NE(again.error().message.find(address.to_string()), std::string::npos);
}

TEST_F(Listener, OtherErrorsHaveTheirOwnCode) {
  auto stranger
    = transport::start_listeners(shards, {"192.0.2.1", 0}, {}, settings(), factory());
  ASSERT_FALSE(stranger);
  EXPECT_EQ(stranger.error().code, core::ec::bad_request);
}

TEST_F(Listener, ListensOnIpv6) {
  start({"::1", 0});
  EXPECT_NE(address.port, 0);
}

TEST_F(Listener, ClosesWhatIsOverTheCapWithAWord) {
  budget->set_limits({2, 100, 1'024});
  start();
  std::vector<transport::unique_fd> clients;
  for (int i = 0; i < 2; ++i)
    clients.push_back(test::connect_to(address.port));
  ASSERT_TRUE(test::eventually([&] { return count() == 2; }));
  auto third = test::connect_to(address.port);
  EXPECT_EQ(test::receive_all(third.get()), "full\n");
  EXPECT_EQ(metrics->refused.value(transport::entrance::http, refusal::conn_cap), 1u);
  // A place that becomes free is given away again.
  {
    std::lock_guard lock{mutex};
    held.pop_back();
  }
  clients.push_back(test::connect_to(address.port));
  EXPECT_TRUE(test::eventually([&] { return count() == 2; }));
}

TEST_F(Listener, CapsEachPeer) {
  budget->set_limits({100, 1, 1'024});
  start();
  auto first = test::connect_to(address.port);
  ASSERT_TRUE(test::eventually([&] { return count() == 1; }));
  auto second = test::connect_to(address.port);
  EXPECT_EQ(test::receive_all(second.get()), "full\n");
  EXPECT_EQ(metrics->refused.value(transport::entrance::http, refusal::per_peer), 1u);
}

TEST_F(Listener, LeavesTheLastDescriptorsToOthers) {
  const transport::unique_fd next{::dup(0)};
  auto s = settings();
  s.descriptors_end = next.get() + 40;
  auto started = transport::start_listeners(shards, {"127.0.0.1", 0}, {}, s, factory());
  ASSERT_TRUE(started) << started.error().message;
  actors = started->actors;
  std::vector<transport::unique_fd> clients; // each takes a descriptor of ours too
  for (int i = 0; i < 40; ++i)
    clients.push_back(test::connect_to(started->address.port));
  ASSERT_TRUE(test::eventually([&] {
    return metrics->refused.value(transport::entrance::http, refusal::descriptors) > 0;
  }));
  EXPECT_EQ(test::receive_all(clients.back().get()), "full\n");
  clients.clear();
  {
    std::lock_guard lock{mutex};
    held.clear();
  }
  EXPECT_TRUE(test::eventually([&] { // it lets in whoever comes now
    auto later = test::connect_to(started->address.port);
    pollfd silence{later.get(), POLLIN, 0};
    return ::poll(&silence, 1, 100) == 0;
  }));
}

TEST_F(Listener, NamesPeersThatHaveNoAddress) {
  auto s = settings();
  s.all_peers.emplace().text = "tor";
  s.all_peers->key.bytes[0] = 't';
  auto started = transport::start_listeners(shards, {"127.0.0.1", 0}, {}, s, factory());
  ASSERT_TRUE(started) << started.error().message;
  actors = started->actors;
  auto client = test::connect_to(started->address.port);
  ASSERT_TRUE(test::eventually([&] { return count() == 1; }));
  EXPECT_EQ(held.front().peer.text, "tor");
  EXPECT_EQ(held.front().peer.key, s.all_peers->key);
}

TEST_F(Listener, StopClosesTheSocketAndKeepsConnections) {
  start();
  auto client = test::connect_to(address.port);
  ASSERT_TRUE(test::eventually([&] { return count() == 1; }));
  for (auto& a : actors)
    EXPECT_TRUE(ask<atom::ok>(a, atom::stop_v));
  EXPECT_FALSE(test::connect_to(address.port));
  std::lock_guard lock{mutex};
  ASSERT_TRUE(test::send_all(held[0].fd.get(), "still here"));
  EXPECT_EQ(test::receive_exactly(client.get(), 10), "still here");
}

TEST_F(Listener, AcceptsOnAUnixSocket) {
  auto path = ::testing::TempDir() + "ron-listener-" + std::to_string(::getpid());
  auto fd = transport::listen_unix(path);
  ASSERT_TRUE(fd) << fd.error().message;
  EXPECT_EQ(transport::listen_unix(path).error().code, core::ec::conflict);
  actors.push_back(transport::start_listener(shards, std::move(*fd), settings(), factory()));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  transport::unique_fd client{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  ASSERT_EQ(::connect(client.get(), reinterpret_cast<sockaddr*>(&name), sizeof name), 0);
  ASSERT_TRUE(test::eventually([&] { return count() >= 2; }));
  EXPECT_EQ(held[0].peer.text, "");
  EXPECT_EQ(ask<atom::ok>(actors[0], atom::stop_v).has_value(), true);
  // What a dead process left behind is no obstacle.
  EXPECT_TRUE(transport::listen_unix(path));
  ::unlink(path.c_str());
}

/// Runs in a process of its own, because it takes all descriptors. Exits with 0 if all went well.
void run_out_of_descriptors() {
  test::shard_config config{1};
  caf::actor_system system{config};
  auto& shards = core::shards::of(system);
  core::metrics::registry registry;
  auto metrics = std::make_shared<transport::socket_metrics>(registry);
  transport::listener_settings settings{
    .label = transport::entrance::http,
    .budget = std::make_shared<connection_budget>(
      transport::connection_limits{1'000, 1'000, 1'024}),
    .metrics = metrics,
    .refusal = core::bytes::literal("none left\n")};
  std::mutex mutex;
  std::vector<accepted> held;
  auto started = transport::start_listeners(
    shards, {"127.0.0.1", 0}, {}, settings, [&](caf::local_actor*, accepted c) {
      std::lock_guard lock{mutex};
      held.push_back(std::move(c));
    });
  auto count = [&] {
    std::lock_guard lock{mutex};
    return held.size();
  };
  auto client = test::connect_to(started->address.port);
  auto waiting = test::connect_to(started->address.port);
  auto check = [](bool ok, int code) {
    if (!ok)
      ::_exit(code);
  };
  check(test::eventually([&] { return count() == 2; }), 1);
  // A client socket first, then all descriptors, so that accept has none.
  transport::unique_fd late{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  test::prepare(late.get());
  rlimit limit{64, 64};
  ::setrlimit(RLIMIT_NOFILE, &limit);
  std::vector<transport::unique_fd> all;
  for (int fd = ::dup(0); fd >= 0; fd = ::dup(0))
    all.emplace_back(fd);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(started->address.port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  check(::connect(late.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0, 2);
  check(test::receive_all(late.get()) == "none left\n", 3);
  check(metrics->refused.value(transport::entrance::http, refusal::descriptors) == 1, 4);
  // It does not spin: the thread sleeps although nothing was freed.
  auto before = shards.at(0).stats().turns;
  pollfd nothing{waiting.get(), POLLIN, 0};
  check(::poll(&nothing, 1, 300) == 0, 5);
  check(shards.at(0).stats().turns - before < 100, 6);
  // It recovers as soon as there are descriptors.
  all.clear();
  auto next = test::connect_to(started->address.port);
  check(test::eventually([&] { return count() == 3; }), 7);
  for (auto& a : started->actors)
    core::end(caf::actor_cast<caf::strong_actor_ptr>(a), caf::exit_reason::kill);
  ::_exit(0);
}

TEST(ListenerProcess, SurvivesWithoutDescriptors) {
  ::testing::GTEST_FLAG(death_test_style) = "threadsafe";
  EXPECT_EXIT(run_out_of_descriptors(), ::testing::ExitedWithCode(0), "");
}

} // namespace
