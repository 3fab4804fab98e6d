#include "transport/connection_budget.hpp"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <thread>
#include <vector>

namespace {

using namespace ron::transport;

peer_address v4(const char* text, std::uint16_t port = 1) {
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  inet_pton(AF_INET, text, &a.sin_addr);
  return peer_address::of(reinterpret_cast<sockaddr*>(&a));
}

peer_address v6(const char* text, std::uint16_t port = 1) {
  sockaddr_in6 a{};
  a.sin6_family = AF_INET6;
  a.sin6_port = htons(port);
  inet_pton(AF_INET6, text, &a.sin6_addr);
  return peer_address::of(reinterpret_cast<sockaddr*>(&a));
}

TEST(PeerAddress, TextAndKey) {
  EXPECT_EQ(v4("127.0.0.1", 80).text, "127.0.0.1:80");
  EXPECT_EQ(v6("::1", 80).text, "[::1]:80");
  EXPECT_EQ(v6("::ffff:10.0.0.1", 80).text, "10.0.0.1:80");
  EXPECT_EQ(v6("::ffff:10.0.0.1").key, v4("10.0.0.1").key);
  EXPECT_EQ(v6("2001:db8::1").key, v6("2001:db8::ffff:2").key) << "one /64 is one peer";
  EXPECT_NE(v6("2001:db8:0:1::1").key, v6("2001:db8:0:2::1").key);
  EXPECT_FALSE(v6("::1").key.is_none());
  sockaddr unix_address{};
  unix_address.sa_family = AF_UNIX;
  EXPECT_TRUE(peer_address::of(&unix_address).key.is_none());
  EXPECT_EQ(peer_address::of(&unix_address).text, "");
}

TEST(ConnectionBudget, CapsTheNodeAndEachPeer) {
  auto budget = std::make_shared<connection_budget>(connection_limits{3, 2, 1'024});
  auto a = v4("10.0.0.1").key;
  auto b = v4("10.0.0.2").key;
  auto a1 = budget->enter(a);
  auto a2 = budget->enter(a);
  ASSERT_TRUE(a1 && a2);
  EXPECT_EQ(budget->enter(a).error(), refusal::per_peer);
  auto b1 = budget->enter(b);
  ASSERT_TRUE(b1);
  EXPECT_EQ(budget->enter(b).error(), refusal::conn_cap);
  EXPECT_EQ(budget->enter(peer_key{}).error(), refusal::conn_cap);
  *a1 = connection_slot{};
  EXPECT_EQ(budget->connections(), 2u);
  auto a3 = budget->enter(a);
  EXPECT_TRUE(a3);
}

TEST(ConnectionBudget, CapsThoseThatHaveSaidNothing) {
  auto budget = std::make_shared<connection_budget>(
    connection_limits{.connections_max = 10, .per_peer_max = 10, .transient_max = 2});
  auto a = budget->enter(v4("10.0.0.1").key);
  auto b = budget->enter(v4("10.0.0.2").key);
  ASSERT_TRUE(a && b);
  EXPECT_EQ(budget->enter(v4("10.0.0.3").key).error(), refusal::transient);
  a->settle();
  a->settle();
  EXPECT_EQ(budget->transient(), 1u);
  auto c = budget->enter(v4("10.0.0.3").key);
  ASSERT_TRUE(c);
  EXPECT_EQ(budget->enter(v4("10.0.0.4").key).error(), refusal::transient);
  *c = connection_slot{}; // one that goes without a word
  EXPECT_EQ(budget->transient(), 1u);
  *a = connection_slot{}; // one that had spoken
  EXPECT_EQ(budget->transient(), 1u);
  EXPECT_EQ(budget->connections(), 1u);
}

TEST(ConnectionBudget, ReloadAndPressure) {
  auto budget = std::make_shared<connection_budget>(connection_limits{1, 1, 1'024});
  auto a = budget->enter(v4("10.0.0.1").key);
  ASSERT_TRUE(a);
  budget->set_limits({2, 2, 1'024});
  auto b = budget->enter(v4("10.0.0.1").key);
  EXPECT_TRUE(b);
  budget->set_limits({1, 1, 1'024}); // both stay
  EXPECT_EQ(budget->connections(), 2u);
  budget->set_limits({10, 10, 1'024});
  budget->close(true);
  EXPECT_EQ(budget->enter(v4("10.0.0.3").key).error(), refusal::conn_cap);
  budget->close(false);
  EXPECT_TRUE(budget->enter(v4("10.0.0.3").key));
}

TEST(ConnectionBudget, NeverExceededByManyThreads) {
  auto budget = std::make_shared<connection_budget>(connection_limits{10, 1'000, 1'024});
  std::atomic<std::uint32_t> most{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 5'000; ++i) {
        std::vector<connection_slot> held;
        for (int k = 0; k < 5; ++k)
          if (auto slot = budget->enter(v4("10.0.0.1").key))
            held.push_back(std::move(*slot));
        auto now = budget->connections();
        for (auto m = most.load(); m < now && !most.compare_exchange_weak(m, now);) {
          // nop
        }
      }
    });
  for (auto& t : threads)
    t.join();
  EXPECT_LE(most, 10u);
  EXPECT_EQ(budget->connections(), 0u);
}

} // namespace
