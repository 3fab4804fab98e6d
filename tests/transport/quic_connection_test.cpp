#include "transport/quic_sim.hpp"

#include <algorithm>
#include <iostream>

namespace ron::test {
namespace {

using phase = quic::connection::phase;

std::string text_of(std::size_t n, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::string out(n, '\0');
  for (auto& c : out)
    c = static_cast<char>(random());
  return out;
}

/// Sends `text` on a new stream, ended.
quic::stream_id say(quic_sim::client& c, const std::string& text) {
  const auto id = c.connection->open_stream();
  EXPECT_TRUE(id);
  c.connection->send(*id, core::bytes::copy(text));
  c.connection->finish(*id);
  return *id;
}

/// Opens `count` streams of `bytes` each; true if all of it comes back within `within`.
bool echo(quic_sim& s, quic_sim::client& c, int count, std::size_t bytes,
          std::chrono::milliseconds within) {
  std::map<quic::stream_id, std::string> said;
  for (int i = 0; i < count; ++i) {
    auto text = text_of(bytes, s.seed + static_cast<std::uint64_t>(i));
    const auto id = say(c, text);
    said.emplace(id, std::move(text));
  }
  const bool all = s.run(
    [&] { return std::ranges::all_of(said, [&](const auto& x) { return c.peer.ended[x.first]; }); },
    within);
  for (const auto& [id, text] : said)
    EXPECT_TRUE(c.peer.got[id] == text) << "stream " << id << ", seed " << s.seed;
  return all;
}

class QuicSim : public testing::Test {
public:
  quic_sim s{std::random_device{}()};

  QuicSim() {
    RecordProperty("seed", std::to_string(s.seed));
    std::cout << "seed " << s.seed << '\n';
  }
};

TEST_F(QuicSim, ShakesHandsWithTls13AndAlpn) {
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  const auto info = c.connection->tls();
  EXPECT_EQ(info.version, "TLSv1.3");
  EXPECT_EQ(info.alpn, "oap/1");
  EXPECT_EQ(info.group, "X25519");
  EXPECT_EQ(info.peer_cert_sha256, s.certificate->cert_sha256());
  EXPECT_EQ(s.peer_of(0)->connection->tls().alpn, "oap/1");
  EXPECT_EQ(s.server->unfinished(), 0u);
}

TEST_F(QuicSim, ATicketSparesTheCertificateWhenTheFirstConnectionIsGone) {
  auto& first = s.dial();
  ASSERT_TRUE(s.open(first));
  EXPECT_FALSE(first.connection->tls().resumed);
  quic::resumption kept;
  ASSERT_TRUE(s.run([&] {
    if (auto got = first.connection->take_resumption(); got.ticket)
      kept = std::move(got);
    return kept.ticket.has_value();
  }));
  EXPECT_FALSE(first.connection->take_resumption().ticket) << "given once";
  s.clients.clear(); // OpenSSL forgets the session of a connection that did not end by its rules
  s.restart();
  auto& second = s.dial("oap/1", {}, kept);
  ASSERT_TRUE(s.open(second));
  EXPECT_TRUE(second.connection->tls().resumed);
  EXPECT_TRUE(s.peer_of(0)->connection->tls().resumed);
  EXPECT_TRUE(echo(s, second, 1, 1'000, 5s));
}

TEST_F(QuicSim, ATicketOfAnotherContextIsNotOffered) {
  auto& first = s.dial();
  ASSERT_TRUE(s.open(first));
  quic::resumption kept;
  ASSERT_TRUE(s.run([&] {
    if (auto got = first.connection->take_resumption(); got.ticket)
      kept = std::move(got);
    return kept.ticket.has_value();
  }));
  s.restart();
  auto& second = s.dial("oap/1", s.certificate->cert_sha256(), kept); // another context, same trust
  ASSERT_TRUE(s.open(second));
  EXPECT_FALSE(second.connection->tls().resumed);
}

TEST_F(QuicSim, MarksPacketsWhereThePathKeepsTheMarks) {
  constexpr std::uint8_t ect0 = 2;
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  ASSERT_TRUE(echo(s, c, 20, 100'000, 30s));
  ASSERT_TRUE(echo(s, c, 1, 100, 5s));
  EXPECT_EQ(s.client_mark, ect0);
  EXPECT_EQ(s.server_mark, ect0);
}

TEST_F(QuicSim, MarksNothingWhereThePathTakesTheMarksOff) {
  s.weather.bleach = true;
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  ASSERT_TRUE(echo(s, c, 20, 100'000, 30s));
  ASSERT_TRUE(echo(s, c, 1, 100, 5s));
  EXPECT_EQ(s.client_mark, 0);
  EXPECT_EQ(s.server_mark, 0);
}

TEST_F(QuicSim, StreamsAreAllowedAgainInTimeForAPeerThatNeedsThem) {
  s.settings.streams_max = 64;
  s.restart();
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  for (int i = 0; i < 60; ++i) // these stay open
    c.connection->send(*c.connection->open_stream(), core::bytes::copy(std::string{"x"}));
  for (int i = 0; i < 300; ++i) {
    std::optional<quic::stream_id> id;
    ASSERT_TRUE(s.run([&] { return (id = c.connection->open_stream()).has_value(); }, 5s)) << i;
    c.connection->finish(*id);
  }
}

TEST_F(QuicSim, StreamsCarryBytesBothWays) {
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  EXPECT_TRUE(echo(s, c, 50, 30'000, 10s));
  EXPECT_TRUE(s.run([&] { return c.peer.closed.size() == 50; }));
  EXPECT_EQ(c.connection->held_bytes(), 0u);
  EXPECT_EQ(c.connection->unsent_bytes(), 0u);
}

TEST_F(QuicSim, EverythingArrivesThroughLossReorderingDoublesAndDamage) {
  s.weather = {.loss = 300, .twice = 50, .damage = 20, .delay = 10ms, .jitter = 30ms};
  s.settings.handshake_timeout = 60s;
  s.restart();
  auto& c = s.dial();
  ASSERT_TRUE(s.run([&] { return c.connection->state() == phase::open; }, 60s));
  EXPECT_TRUE(echo(s, c, 20, 20'000, 300s));
}

TEST_F(QuicSim, TransferWithTwoPercentLossAndDamage) {
  s.weather = {.loss = 20, .damage = 20, .delay = 15ms, .jitter = 2ms};
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  EXPECT_TRUE(echo(s, c, 4, 500'000, 120s));
  EXPECT_GT(c.connection->measure().packets_lost, 0u);
}

/// The pauses of pacing do not begin when the burst before has been written, but when it began.
TEST_F(QuicSim, WhatWritingTakesDoesNotSlowPacingDown) {
  s.echoes = false;
  s.weather.delay = 1ms;
  s.writing = 50us; // 64 KiB in that time are 1.3 GB/s
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  const auto& seen = *s.peer_of(0);
  say(c, std::string(100'000'000, 'x'));
  const auto began = s.now;
  ASSERT_TRUE(s.run([&] { return seen.ended.size() == 1; }, 60s));
  EXPECT_LT(s.now - began, 500ms);
}

TEST_F(QuicSim, APauseThatHoldsUpNothingSetsNoTimer) {
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  ASSERT_TRUE(echo(s, c, 20, 100'000, 30s));
  s.pass(100ms);
  say(c, std::string(1'000, 'x'));
  ASSERT_TRUE(s.run([] { return true; }));
  ASSERT_EQ(c.connection->unsent_bytes(), 0u);
  ASSERT_TRUE(c.connection->wake_at());
  EXPECT_GE(*c.connection->wake_at() - s.now, 1ms);
  say(c, std::string(1'000'000, 'x'));
  ASSERT_TRUE(s.run([] { return true; }));
  ASSERT_GT(c.connection->unsent_bytes(), 0u);
  EXPECT_LT(*c.connection->wake_at() - s.now, 1ms) << "there is something to send";
}

TEST_F(QuicSim, LivesThroughBlackHoles) {
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  s.hole = [](core::instant t) { // five seconds of every seven nothing gets through
    return t.time_since_epoch() % 7s < 5s;
  };
  EXPECT_TRUE(echo(s, c, 4, 300'000, 120s));
}

TEST_F(QuicSim, AcknowledgementsOfAFewPacketsWaitForTheAnswerButNotForLong) {
  s.echoes = false;
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  s.pass(1s); // tickets, ids and probes of the path
  const auto id = c.connection->open_stream();
  ASSERT_TRUE(id);
  s.logs = true;
  const auto ask = [&] {
    s.log.clear();
    const auto before = s.peer_of(0)->got[*id].size();
    c.connection->send(*id, core::bytes::literal("?"));
    EXPECT_TRUE(s.run([&] { return s.peer_of(0)->got[*id].size() > before; }));
    s.pass(0ms);
  };
  const auto from_server = [&] {
    return std::ranges::count_if(s.log, [](const auto& x) { return !x.first; });
  };
  ask();
  EXPECT_EQ(from_server(), 0);
  s.peer_of(0)->connection->send(*id, core::bytes::literal("!"));
  s.pass(0ms);
  EXPECT_EQ(from_server(), 1);
  s.pass(100ms);
  ask();
  s.pass(2ms);
  EXPECT_EQ(from_server(), 1) << "nobody answers";
}

TEST_F(QuicSim, KeysAreUpdatedInTheMiddle) {
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  auto* server = s.peer_of(0)->connection;
  const auto updates = [&] {
    return std::pair{c.connection->measure().key_updates, server->measure().key_updates};
  };
  std::uint64_t want = 0;
  for (auto* who : {c.connection.get(), server}) { // either side may want it
    ASSERT_TRUE(echo(s, c, 2, 20'000, 10s));
    s.pass(1s);
    ASSERT_TRUE(echo(s, c, 1, 1'000, 10s));
    EXPECT_EQ(updates(), (std::pair{want, want}));
    ASSERT_TRUE(who->update_keys(s.now));
    EXPECT_FALSE(who->update_keys(s.now)) << "the peer has not followed yet";
    ++want;
  }
  ASSERT_TRUE(echo(s, c, 2, 20'000, 10s));
  s.pass(1s);
  ASSERT_TRUE(echo(s, c, 1, 1'000, 10s));
  EXPECT_EQ(updates(), (std::pair{want, want}));
  EXPECT_EQ(c.connection->state(), phase::open);
}

TEST_F(QuicSim, KeysAreChangedAfterSoManyBytesThroughABadNetwork) {
  s.settings.key_bytes = 50'000;
  s.restart();
  s.weather = {.loss = 20, .twice = 20, .damage = 10, .delay = 5ms, .jitter = 5ms};
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  auto* server = s.peer_of(0)->connection;
  for (int i = 0; i < 6; ++i) {
    EXPECT_TRUE(echo(s, c, 4, 50'000, 120s));
    s.pass(500ms);
  }
  EXPECT_GE(c.connection->measure().key_updates, 2u);
  EXPECT_GE(server->measure().key_updates, 2u);
}

TEST_F(QuicSim, GoesOnWhenTheAddressIsRebound) {
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  ASSERT_TRUE(echo(s, c, 1, 20'000, 10s));
  c.nat = quic::address::loopback(30'000);
  EXPECT_TRUE(echo(s, c, 2, 200'000, 30s));
  EXPECT_TRUE(s.peer_of(0)->connection->where().remote == *c.nat);
}

TEST_F(QuicSim, ClientMovesToAnotherAddress) {
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  ASSERT_TRUE(echo(s, c, 1, 20'000, 10s));
  c.where.local = quic::address::loopback(30'001);
  ASSERT_TRUE(c.connection->migrate(c.where, s.now));
  EXPECT_TRUE(echo(s, c, 2, 200'000, 30s));
  EXPECT_TRUE(s.peer_of(0)->connection->where().remote == c.where.local);
}

TEST_F(QuicSim, StreamsShareTheWireFairly) {
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  constexpr int count = 64;
  for (int i = 0; i < count; ++i)
    say(c, std::string(200'000, 'x'));
  auto& seen = *s.peer_of(0);
  ASSERT_TRUE(s.run([&] { return seen.ended.size() == count; }, 120s));
  // Jain's index of what each stream had when half of all was there.
  std::map<quic::stream_id, double> share;
  std::size_t total = 0;
  for (const auto& [id, n] : seen.order) {
    share[id] += static_cast<double>(n);
    if ((total += n) > std::size_t{100'000} * count)
      break;
  }
  double sum = 0;
  double squares = 0;
  for (const auto& [id, n] : share) {
    sum += n;
    squares += n * n;
  }
  EXPECT_GE(sum * sum / (count * squares), 0.95);
}

TEST_F(QuicSim, ThePeersWindowStopsTheSenderAndTheBacklogShows) {
  s.settings.window = s.settings.window_max = 100'000;
  s.restart();
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  s.peer_of(0)->takes = false;
  say(c, std::string(300'000, 'x'));
  s.pass(5s);
  EXPECT_EQ(s.peer_of(0)->got[0].size(), 100'000u);
  EXPECT_EQ(c.connection->unsent_bytes(), 200'000u);
  s.peer_of(0)->takes = true;
  s.peer_of(0)->connection->credit(100'000);
  EXPECT_TRUE(s.run([&] { return s.peer_of(0)->ended[0]; }));
  EXPECT_EQ(c.connection->unsent_bytes(), 0u);
}

TEST_F(QuicSim, AWindowThatHasGrownOpensInSmallStepsForAReaderThatTurnsSlow) {
  constexpr std::size_t part = 16u << 10;
  constexpr std::size_t step_max = 320u << 10; // what a server takes into account
  s.echoes = false;
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  auto& seen = *s.peer_of(0);
  say(c, std::string(64u << 20, 'x'));
  ASSERT_TRUE(s.run([&] { return seen.got[0].size() > (32u << 20); }, 60s));
  seen.takes = false;
  const auto taken = seen.got[0].size();
  s.pass(2s);
  auto came = seen.got[0].size();
  EXPECT_GT(came - taken, 6u << 20) << "it has grown";
  EXPECT_LE(came - taken, s.settings.window_max);
  const auto stalled = came;
  std::size_t credited = 0;
  std::size_t steps = 0;
  while (credited < (8u << 20)) {
    seen.connection->credit(part);
    credited += part;
    s.pass(100ms);
    const auto now = seen.got[0].size();
    ASSERT_LE(now - came, step_max) << credited;
    steps += now != came;
    came = now;
  }
  EXPECT_GE(came - stalled + step_max, credited) << "and it gets all that it has room for";
  EXPECT_GE(steps, credited / step_max);
}

TEST_F(QuicSim, StreamsBeyondTheLimitWaitForOneToClose) {
  s.settings.streams_max = 2;
  s.restart();
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  for (int i = 0; i < 3; ++i)
    say(c, "x");
  EXPECT_FALSE(c.connection->open_stream());
  c.peer.allowed = 0;
  ASSERT_TRUE(s.run([&] { return c.peer.allowed > 0; }));
  EXPECT_TRUE(c.connection->open_stream());
}

TEST_F(QuicSim, ResetAndStopReachTheOtherSide) {
  s.echoes = false;
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  const auto id = *c.connection->open_stream();
  c.connection->send(id, core::bytes::copy(std::string(10'000, 'x')));
  ASSERT_TRUE(s.run([&] { return s.peer_of(0)->got[id].size() == 10'000; }));
  c.connection->reset(id, 0x1f0);
  s.peer_of(0)->connection->stop(id, 0x10e);
  s.peer_of(0)->connection->send(id, core::bytes::copy(std::string(10'000, 'y')));
  s.peer_of(0)->connection->reset(id, 0x10f);
  ASSERT_TRUE(
    s.run([&] { return s.peer_of(0)->resets.contains(id) && c.peer.resets.contains(id); }));
  EXPECT_EQ(s.peer_of(0)->resets[id], 0x1f0u);
  EXPECT_EQ(c.peer.resets[id], 0x10fu);
  EXPECT_TRUE(s.run([&] { return c.peer.closed[id]; }));
}

TEST_F(QuicSim, CloseTellsThePeerWhy) {
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  c.connection->close(12);
  auto* end = s.peer_of(0)->connection;
  ASSERT_TRUE(s.run([&] { return end->state() == phase::draining; }));
  EXPECT_TRUE(end->ending().application);
  EXPECT_TRUE(end->ending().by_peer);
  EXPECT_EQ(end->ending().code, 12u);
  EXPECT_TRUE(
    s.run([&] { return c.connection->state() == phase::over && s.server->connections() == 0; }));
}

TEST_F(QuicSim, AnIdleConnectionEndsOnBothSides) {
  s.settings.idle_timeout = 3s;
  s.restart();
  auto& c = s.dial();
  ASSERT_TRUE(s.open(c));
  EXPECT_TRUE(s.run([&] { return s.server->connections() == 0; }, 10s));
  EXPECT_EQ(c.connection->state(), phase::over);
  EXPECT_TRUE(c.connection->ending().silent);
}

} // namespace
} // namespace ron::test
