#include "transport/quic_sim.hpp"

#include <iostream>

namespace ron::test {
namespace {

using phase = quic::connection::phase;
using quic::early_fate;

/// 0-RTT between machines: what is early, what is refused, what goes again.
class QuicEarly : public testing::Test {
public:
  quic_sim s{std::random_device{}()};

  QuicEarly() {
    std::cout << "seed " << s.seed << '\n';
    s.settings.early_data = true;
    s.restart();
  }

  /// What a first connection leaves.
  quic::resumption ticket() {
    quic::resumption kept;
    auto& first = s.dial();
    EXPECT_TRUE(s.open(first));
    EXPECT_FALSE(first.connection->early());
    EXPECT_TRUE(s.run([&] {
      if (auto got = first.connection->take_resumption(); got.ticket)
        kept = std::move(got);
      return kept.ticket.has_value();
    }));
    s.clients.clear();
    s.restart();
    return kept;
  }
  static quic::stream_id say(quic_sim::client& c, const std::string& text) {
    const auto id = c.connection->open_stream();
    EXPECT_TRUE(id);
    c.connection->send(*id, core::bytes::copy(text));
    c.connection->finish(*id);
    return *id;
  }
  bool answered(quic_sim::client& c, quic::stream_id id) {
    return s.run([&] { return c.peer.ended[id]; });
  }
  /// The first datagrams of a client that says `text` in early data.
  std::vector<std::vector<std::uint8_t>> first_flight(const quic::resumption& from,
                                                      const std::string& text) {
    auto& c = s.dial("oap/1", {}, from);
    say(c, text);
    s.log.clear();
    s.logs = true;
    s.hole = [](core::instant) { return true; };
    s.pass(0ms);
    s.logs = false;
    s.hole = nullptr;
    s.clients.clear();
    std::vector<std::vector<std::uint8_t>> out;
    for (const auto& [up, datagram] : s.log)
      out.push_back(datagram);
    return out;
  }
};

TEST_F(QuicEarly, TheFirstDatagramsCarryARequestAndItsAnswerComesInOneRoundTrip) {
  const auto kept = ticket();
  EXPECT_FALSE(kept.params.empty());
  auto& c = s.dial("oap/1", {}, kept);
  ASSERT_TRUE(c.connection->early());
  const auto began = s.now;
  const auto id = say(c, "what is it?");
  ASSERT_TRUE(answered(c, id));
  EXPECT_EQ(s.now - began, 2 * s.weather.delay);
  EXPECT_EQ(c.peer.got[id], "what is it?");
  EXPECT_TRUE(s.peer_of(0)->early);
  ASSERT_TRUE(s.open(c));
  EXPECT_FALSE(c.connection->early());
  EXPECT_EQ(c.connection->early_data(), early_fate::accepted);
  EXPECT_EQ(s.peer_of(0)->connection->early_data(), early_fate::accepted);
  EXPECT_EQ(c.peer.opened, 1);
  EXPECT_EQ(s.peer_of(0)->opened, 1);
  EXPECT_TRUE(c.connection->tls().resumed);
}

TEST_F(QuicEarly, AServerThatWantsNoneRefusesAndTheClientSaysAllOfItAgain) {
  const auto kept = ticket();
  s.settings.early_data = false;
  s.restart();
  s.settings.early_data = true; // of the client
  auto& c = s.dial("oap/1", {}, kept);
  ASSERT_TRUE(c.connection->early());
  std::map<quic::stream_id, std::string> said;
  for (int i = 0; i < 3; ++i) {
    const std::string text(3'000, static_cast<char>('a' + i));
    said[say(c, text)] = text;
  }
  for (const auto& [id, text] : said) {
    ASSERT_TRUE(answered(c, id));
    EXPECT_EQ(c.peer.got[id], text);
    EXPECT_EQ(s.peer_of(0)->got[id], text) << "once";
  }
  EXPECT_FALSE(s.peer_of(0)->early);
  EXPECT_EQ(c.connection->early_data(), early_fate::rejected);
  EXPECT_EQ(s.peer_of(0)->connection->early_data(), early_fate::rejected);
  EXPECT_EQ(c.connection->unsent_bytes(), 0u);
}

TEST_F(QuicEarly, AServerThatForgotItsTicketKeysRefusesToo) {
  const auto kept = ticket();
  s.tickets = std::make_shared<core::crypto::ticket_keys>();
  s.restart();
  auto& c = s.dial("oap/1", {}, kept);
  const auto id = say(c, "again");
  ASSERT_TRUE(answered(c, id));
  EXPECT_EQ(s.peer_of(0)->got[id], "again");
  EXPECT_FALSE(s.peer_of(0)->early);
  EXPECT_FALSE(c.connection->tls().resumed);
}

TEST_F(QuicEarly, AServerThatRefusesAndAllowsFewerStreamsThanBeforeEndsTheConnection) {
  const auto kept = ticket();
  s.settings.early_data = false;
  s.settings.streams_max = 1;
  s.restart();
  s.settings.early_data = true;
  auto& c = s.dial("oap/1", {}, kept);
  for (int i = 0; i < 8; ++i)
    say(c, "x");
  ASSERT_TRUE(s.run([&] { return c.connection->state() > phase::open; }));
  EXPECT_FALSE(c.connection->early());
}

TEST_F(QuicEarly, SurvivesLossOfTheFirstDatagrams) {
  const auto kept = ticket();
  auto& c = s.dial("oap/1", {}, kept);
  const auto id = say(c, std::string(4'000, 'x'));
  const auto until = s.now + 1ms;
  s.hole = [until](core::instant t) { return t < until; };
  ASSERT_TRUE(answered(c, id));
  EXPECT_EQ(c.peer.got[id].size(), 4'000u);
}

TEST_F(QuicEarly, NotOfferedUnlessAskedFor) {
  const auto kept = ticket();
  s.settings.early_data = false; // of the client; the server was made with it
  auto& c = s.dial("oap/1", {}, kept);
  EXPECT_FALSE(c.connection->early());
  EXPECT_FALSE(c.connection->open_stream());
  ASSERT_TRUE(s.open(c));
  EXPECT_TRUE(c.connection->tls().resumed);
  EXPECT_EQ(s.peer_of(0)->connection->early_data(), early_fate::none);
}

TEST_F(QuicEarly, TicketsOfAServerWithoutItAllowNone) {
  s.settings.early_data = false;
  s.restart();
  const auto kept = ticket();
  s.settings.early_data = true;
  s.restart();
  EXPECT_TRUE(kept.params.empty());
  auto& c = s.dial("oap/1", {}, kept);
  EXPECT_FALSE(c.connection->early());
}

// What is repeated by somebody else comes again as early data, and that is all there ever is: the
// end of the handshake needs the client. The endpoint ends it, and says little until then.
TEST_F(QuicEarly, ARepetitionNeverGetsBeyondEarlyData) {
  const auto kept = ticket();
  const auto recorded = first_flight(kept, "pay");
  std::size_t said = 0;
  for (const auto& datagram : recorded)
    said += datagram.size();
  for (std::uint16_t i = 0; i < 3; ++i) {
    s.peers.clear();
    s.from_server = 0;
    for (const auto& datagram : recorded)
      s.inject({quic::address::loopback(static_cast<std::uint16_t>(30'000 + i)),
                quic::address::loopback(443), 0},
               datagram);
    ASSERT_TRUE(s.run([&] { return s.server->connections() == 0; }, 60s));
    ASSERT_EQ(s.peers.size(), 1u);
    EXPECT_TRUE(s.peers[0]->early);
    EXPECT_EQ(s.peers[0]->opened, 0);
    EXPECT_GT(s.from_server, 0u);
    // ngtcp2 does not count a packet that has nothing but an ACK.
    constexpr std::size_t ack_bytes = 40;
    EXPECT_LE(s.from_server, 3 * said + ack_bytes);
  }
}

} // namespace
} // namespace ron::test
