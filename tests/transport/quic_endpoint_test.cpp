#include "transport/quic_sim.hpp"

#include <array>
#include <cstring>
#include <iostream>

namespace ron::test {
namespace {

using phase = quic::connection::phase;

constexpr std::uint64_t crypto_error = 0x100;

class QuicEndpoint : public testing::Test {
public:
  quic_sim s{std::random_device{}()};

  QuicEndpoint() {
    RecordProperty("seed", std::to_string(s.seed));
    std::cout << "seed " << s.seed << '\n';
  }
  /// The first datagram of a client that then says no more.
  std::vector<std::uint8_t> first_datagram() {
    s.logs = true;
    auto& c = s.dial();
    s.hole = [](core::instant) { return true; };
    s.run([] { return true; });
    s.hole = nullptr;
    s.logs = false;
    auto out = s.log.at(0).second;
    s.log.clear();
    (void)c;
    s.clients.pop_back();
    return out;
  }
  quic::path stranger(std::uint16_t port = 40'000) {
    return {quic::address::loopback(port), quic::address::loopback(443)};
  }
};

TEST_F(QuicEndpoint, AnotherProtocolIsRefused) {
  auto& c = s.dial("h3");
  ASSERT_TRUE(s.run([&] { return c.connection->state() == phase::draining; }));
  EXPECT_FALSE(c.connection->ending().application);
  EXPECT_EQ(c.connection->ending().code, crypto_error + 120); // no_application_protocol
  EXPECT_TRUE(s.run([&] { return s.server->connections() == 0; }));
  EXPECT_EQ(s.server->unfinished(), 0u);
}

TEST_F(QuicEndpoint, AClientThatTrustsSomebodyElseLeaves) {
  auto& c = s.dial("oap/1", std::string(64, 'a'));
  ASSERT_TRUE(s.run([&] { return c.connection->state() == phase::closing; }));
  EXPECT_NE(c.connection->ending().text.find("certificate"), std::string::npos)
    << c.connection->ending().text;
  EXPECT_TRUE(s.run([&] { return s.server->connections() == 0; }));
}

TEST_F(QuicEndpoint, RetryProvesTheAddress) {
  s.limits.retry_from = 0;
  s.restart();
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  EXPECT_EQ(s.server->counters().retries, 1u);
  EXPECT_EQ(s.server->counters().accepted, 1u);
}

TEST_F(QuicEndpoint, ARetryTokenIsOnlyGoodFromItsAddressAndForItsTime) {
  s.limits.retry_from = 0;
  s.restart();
  s.logs = true;
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  std::vector<std::uint8_t> second; // the Initial that brings the token
  for (const auto& [up, datagram] : s.log)
    if (up && datagram.size() >= 1'200 && second.empty() && datagram != s.log[0].second)
      second = datagram;
  ASSERT_FALSE(second.empty());
  s.restart();
  s.inject(stranger(), second); // somebody else
  EXPECT_EQ(s.server->counters().refused, 1u);
  EXPECT_EQ(s.server->connections(), 0u);
  s.now += 11s;
  s.inject({quic::address::loopback(20'000), quic::address::loopback(443)}, second);
  EXPECT_EQ(s.server->counters().refused, 2u);
  EXPECT_EQ(s.server->connections(), 0u);
}

TEST_F(QuicEndpoint, ATokenOfAnEarlierConnectionSparesRetry) {
  auto& first = s.dial();
  ASSERT_TRUE(s.open(first));
  quic::resumption kept;
  ASSERT_TRUE(s.run([&] {
    kept = first.connection->take_resumption();
    return !kept.token.empty();
  }));
  EXPECT_TRUE(first.connection->take_resumption().token.empty()) << "given once";
  kept.ticket.reset(); // the token alone
  s.limits.retry_from = 0;
  s.restart();
  auto& second = s.dial("oap/1", {}, kept);
  ASSERT_TRUE(s.open(second));
  EXPECT_EQ(s.server->counters().retries, 0u);
  kept.token.back() ^= 1; // one that is not ours is as good as none
  s.restart();
  auto& third = s.dial("oap/1", {}, kept);
  ASSERT_TRUE(s.open(third));
  EXPECT_EQ(s.server->counters().retries, 1u);
  kept.token.back() ^= 1;
  s.now += std::chrono::hours{25};
  s.restart();
  auto& fourth = s.dial("oap/1", {}, kept);
  ASSERT_TRUE(s.open(fourth));
  EXPECT_EQ(s.server->counters().retries, 1u) << "too old";
}

TEST_F(QuicEndpoint, AnUnknownConnectionIsReset) {
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  s.pass(1s); // so that the client has all ids of the server
  s.restart();
  const auto id = *c.connection->open_stream();
  c.connection->send(id, core::bytes::copy(std::string(1'000, 'x')));
  ASSERT_TRUE(s.run([&] { return c.connection->state() == phase::draining; }, 5s));
  EXPECT_TRUE(c.connection->ending().silent);
  EXPECT_EQ(s.server->counters().resets, 1u);
}

TEST_F(QuicEndpoint, ResetsAreShorterThanWhatTheyAnswerAndBounded) {
  s.limits.answers_per_second = 5;
  s.restart();
  for (int i = 0; i < 20; ++i) {
    const std::vector<std::uint8_t> junk(100, 0x40);
    const auto before = s.from_server;
    s.inject(stranger(), junk);
    EXPECT_LT(s.from_server - before, junk.size());
  }
  EXPECT_EQ(s.server->counters().resets, 5u);
  EXPECT_EQ(s.server->counters().dropped_rate, 15u);
  const std::vector<std::uint8_t> small(42, 0x40);
  s.now += 2s;
  s.inject(stranger(), small);
  EXPECT_EQ(s.server->counters().resets, 5u);
  EXPECT_EQ(s.server->counters().dropped_junk, 1u);
}

TEST_F(QuicEndpoint, AnUnknownVersionIsToldTheKnownOnes) {
  auto datagram = first_datagram();
  const std::array<std::uint8_t, 4> version{0xba, 0xba, 0xba, 0xba};
  std::memcpy(datagram.data() + 1, version.data(), version.size());
  s.logs = true;
  s.inject(stranger(), datagram);
  EXPECT_EQ(s.server->counters().versions, 1u);
  ASSERT_EQ(s.log.size(), 1u);
  EXPECT_FALSE(s.log[0].first);
  EXPECT_LT(s.log[0].second.size(), 100u);
  datagram.resize(600); // a small one is worth no answer
  s.inject(stranger(), datagram);
  EXPECT_EQ(s.server->counters().versions, 1u);
}

TEST_F(QuicEndpoint, SaysAtMostThreeTimesWhatAnUnprovenPeerSent) {
  const auto datagram = first_datagram();
  const auto before = s.from_server;
  s.inject(stranger(), datagram);
  s.pass(4s);
  EXPECT_GT(s.from_server, before);
  EXPECT_LE(s.from_server - before, 3 * datagram.size());
}

TEST_F(QuicEndpoint, UnfinishedHandshakesEndAtTheirDeadline) {
  s.limits.retry_from = 100;
  s.limits.unfinished_max = 3;
  s.restart();
  for (std::uint16_t i = 0; i < 5; ++i)
    s.inject(stranger(static_cast<std::uint16_t>(40'000 + i)), first_datagram());
  EXPECT_EQ(s.server->unfinished(), 3u);
  EXPECT_EQ(s.server->counters().dropped_full, 2u);
  s.pass(6s);
  EXPECT_EQ(s.server->unfinished(), 0u);
  EXPECT_EQ(s.server->connections(), 0u);
}

TEST_F(QuicEndpoint, APeerOverItsLimitIsRefused) {
  s.accepts = false;
  auto& c = s.dial();
  ASSERT_TRUE(s.run([&] { return c.connection->state() == phase::draining; }));
  EXPECT_EQ(c.connection->ending().code, 2u); // CONNECTION_REFUSED
  EXPECT_EQ(s.server->counters().refused, 1u);
}

TEST_F(QuicEndpoint, NoNewConnectionsWhileItStops) {
  auto& first = s.dial();
  ASSERT_TRUE(s.open(first));
  s.server->stop_accepting();
  auto& second = s.dial();
  ASSERT_TRUE(s.run([&] { return second.connection->state() == phase::draining; }, 3s));
  EXPECT_EQ(second.connection->ending().code, 2u)
    << "CONNECTION_REFUSED, so that it looks elsewhere";
  EXPECT_EQ(first.connection->state(), phase::open);
}

TEST_F(QuicEndpoint, IdsBeginWithTheShard) {
  s.logs = true;
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  const auto id = *c.connection->open_stream();
  c.connection->send(id, core::bytes::copy(std::string_view{"x"}));
  ASSERT_TRUE(s.run([&] { return s.peer_of(0)->got[id].size() == 1; }));
  const auto& last = s.log;
  int looked = 0;
  for (const auto& [up, datagram] : last)
    if (up && (datagram[0] & 0x80) == 0) {
      EXPECT_EQ(quic::endpoint::shard_of(datagram), 7);
      ++looked;
    }
  EXPECT_GT(looked, 0);
}

TEST_F(QuicEndpoint, JunkDoesNoHarm) {
  std::mt19937_64 random{s.seed};
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  const auto good = first_datagram();
  for (int i = 0; i < 3'000; ++i) {
    auto junk = good;
    if (i % 2 == 0)
      for (auto& b : junk)
        b = static_cast<std::uint8_t>(random());
    else
      for (int k = 0; k < 3; ++k)
        junk[random() % 60] ^= static_cast<std::uint8_t>(1 + random() % 255);
    junk.resize(random() % (junk.size() + 1));
    s.inject(stranger(static_cast<std::uint16_t>(41'000 + i % 50)), junk);
  }
  EXPECT_EQ(c.connection->state(), phase::open);
  s.pass(10s);
  EXPECT_LE(s.server->connections(), 1u);
  EXPECT_EQ(s.server->unfinished(), 0u);
}

} // namespace
} // namespace ron::test
