#include "oap/writer.hpp"
#include "transport/frame_lanes_rig.hpp"

#include <deque>
#include <iostream>
#include <random>

namespace ron::test {
namespace {

TEST_F(FrameLanes, HelloGoesOnStreamZeroAndEachStreamOnItsOwn) {
  const auto corr = open(true);
  settle();
  EXPECT_TRUE(client.session.hello_received());
  EXPECT_TRUE(server.session.hello_received());
  EXPECT_EQ(corr, 1u);
  ASSERT_NE(server.last<oap::opened>(), nullptr);
  EXPECT_EQ(client.carrier.lanes.size(), 2u);
  EXPECT_TRUE(client.carrier.lanes[4].fin);
  server.session.end(corr);
  settle();
  ASSERT_NE(client.last<oap::ended>(), nullptr);
  EXPECT_TRUE(server.carrier.lanes[4].fin);
  EXPECT_EQ(client.session.open_streams(), 0u);
}

TEST_F(FrameLanes, AnyInterleavingOfStreamsBringsEveryByte) {
  const std::uint64_t seed = std::random_device{}();
  std::cout << "seed " << seed << '\n';
  RecordProperty("seed", std::to_string(seed));
  std::mt19937_64 random{seed};
  constexpr std::size_t streams = 60;
  constexpr std::size_t frames = 12;
  std::map<oap::corr_t, std::size_t> sent;
  std::map<oap::corr_t, std::size_t> echoed;
  std::map<oap::corr_t, std::size_t> wanted;
  std::map<oap::corr_t, std::deque<core::bytes>> answers;
  std::map<oap::corr_t, bool> asked;
  for (std::size_t i = 0; i < streams; ++i)
    open(false);
  for (int round = 0; round < 2'000'000; ++round) {
    for (oap::corr_t c = 1; c <= streams; ++c) {
      while (sent[c] < frames) {
        const auto n = random() % 4 == 0 ? 40'000 + random() % 20'000 : random() % 500 + 1;
        const auto chunk = core::bytes::copy(std::string(n, static_cast<char>('a' + c % 26)));
        const auto how = client.session.send(c, chunk);
        if (how != oap::send_status::sent)
          break;
        wanted[c] += n;
        if (++sent[c] == frames)
          client.session.end(c);
      }
    }
    client.turn();
    server.turn();
    for (auto& e : std::exchange(server.seen, {}))
      if (auto* d = std::get_if<oap::data>(&e)) {
        server.session.consumed(d->corr);
        answers[d->corr].push_back(d->bytes);
      } else if (auto* over = std::get_if<oap::ended>(&e)) {
        asked[over->corr] = true;
      }
    for (auto& [c, q] : answers) {
      while (!q.empty() && server.session.send(c, q.front()) == oap::send_status::sent)
        q.pop_front();
      if (q.empty() && asked[c])
        server.session.end(c), asked[c] = false;
    }
    std::size_t done = 0;
    for (auto& e : client.seen)
      if (auto* d = std::get_if<oap::data>(&e)) {
        echoed[d->corr] += d->bytes.size();
        client.session.consumed(d->corr);
      }
    std::erase_if(client.seen, [](const auto& e) { return std::holds_alternative<oap::data>(e); });
    done = client.count<oap::ended>();
    if (done == streams)
      break;
    for (int k = 0; k < 20; ++k) { // a few pieces of streams chosen by lot, both ways
      auto& from = random() % 2 == 0 ? client : server;
      auto& to = &from == &client ? server : client;
      if (from.carrier.lanes.empty())
        continue;
      auto i = from.carrier.lanes.begin();
      std::advance(i, static_cast<std::ptrdiff_t>(random() % from.carrier.lanes.size()));
      move(from, to, i->first, random() % 3'000 + 1);
    }
    ASSERT_EQ(client.lanes.breach(), oap::reason::none);
    ASSERT_EQ(server.lanes.breach(), oap::reason::none);
    ASSERT_EQ(client.session.is_closed() || server.session.is_closed(), false) << "seed " << seed;
  }
  EXPECT_EQ(client.count<oap::ended>(), streams);
  EXPECT_EQ(echoed, wanted);
  settle();
  // The window is given back exactly, and nothing is left behind.
  EXPECT_EQ(client.carrier.credited + server.carrier.credited, moved);
  EXPECT_EQ(server.lanes.unfinished(), 0u);
}

TEST_F(FrameLanes, StreamsThatComeBeforeHelloWait) {
  open(true);
  client.turn();
  ASSERT_TRUE(move(client, server, 4, 1'000));
  EXPECT_FALSE(server.lanes.ready());
  ASSERT_TRUE(move(client, server, 0, 10));
  EXPECT_FALSE(server.lanes.ready());
  settle();
  EXPECT_EQ(server.count<oap::opened>(), 1u);
}

const auto safe_names =
  std::make_shared<const std::vector<std::string>>(std::vector<std::string>{"read"});

oap::corr_t open_named(end_of_line& from, std::string_view name, bool end) {
  oap::open_request r;
  r.name = name;
  r.end = end;
  auto corr = from.session.open(r);
  EXPECT_TRUE(corr);
  return corr.value_or(0);
}

TEST_F(FrameLanes, BeforeTheHandshakeIsCompleteOnlySafeOperationsAreSeen) {
  server.lanes.run_early(safe_names);
  const auto unsafe = open_named(client, "write", false);
  const auto safe = open_named(client, "read", true);
  EXPECT_EQ(client.session.send(unsafe, core::bytes::literal("body")), oap::send_status::sent);
  client.session.end(unsafe);
  settle();
  EXPECT_TRUE(server.session.hello_received());
  ASSERT_EQ(server.count<oap::opened>(), 1u);
  EXPECT_EQ(server.last<oap::opened>()->corr, safe);
  EXPECT_EQ(server.lanes.held_streams(), 1u);
  EXPECT_LT(server.carrier.credited, moved) << "what is held is paid for by the window";
  server.lanes.on_open();
  settle();
  EXPECT_EQ(server.count<oap::opened>(), 2u);
  EXPECT_EQ(server.last<oap::opened>()->corr, unsafe);
  ASSERT_NE(server.last<oap::data>(), nullptr);
  EXPECT_EQ(server.last<oap::data>()->bytes.text(), "body");
  EXPECT_EQ(server.last<oap::ended>()->corr, unsafe);
}

TEST_F(FrameLanes, WhatIsHeldMayBeResetAndThePeerMayBeDone) {
  server.lanes.run_early(safe_names);
  const auto corr = open_named(client, "write", false);
  client.turn();
  settle();
  server.lanes.on_stream_reset(static_cast<stream_id>(corr * 4), 0x1f0);
  server.turn();
  EXPECT_EQ(server.count<oap::opened>(), 0u);
  EXPECT_FALSE(server.session.is_closed()) << "an error for a stream that it does not know";
  server.lanes.on_stream_data(0, {}, true);
  EXPECT_FALSE(server.lanes.peer_done()) << "there is more to come";
  server.lanes.on_open();
  server.turn();
  EXPECT_EQ(server.count<oap::opened>(), 1u);
  EXPECT_EQ(server.count<oap::stream_error>(), 1u);
  EXPECT_TRUE(server.lanes.peer_done());
}

TEST_F(FrameLanes, WhatIsHeldWaitsForHelloToo) {
  server.lanes.run_early(safe_names);
  open_named(client, "write", true);
  client.turn();
  ASSERT_TRUE(move(client, server, 4, 10'000));
  server.lanes.on_open();
  server.turn();
  EXPECT_EQ(server.count<oap::opened>(), 0u);
  settle();
  EXPECT_EQ(server.count<oap::opened>(), 1u);
}

TEST_F(FrameLanes, AClientKeepsUnsafeOperationsAndAllBehindThemUntilTheHandshakeIsComplete) {
  client.lanes.run_early(safe_names);
  const auto first = open_named(client, "read", true);
  open_named(client, "write", true);
  open_named(client, "read", true); // streams are opened in their order
  settle();
  ASSERT_EQ(server.count<oap::opened>(), 1u);
  EXPECT_EQ(server.last<oap::opened>()->corr, first);
  client.lanes.on_open();
  settle();
  EXPECT_EQ(server.count<oap::opened>(), 3u);
}

TEST_F(FrameLanes, AcksThatOvertakeTheirStartAreKept) {
  settle();
  const auto corr = open(true, "slow");
  client.session.pause(corr); // an ACK on stream 0
  client.turn();
  ASSERT_TRUE(move(client, server, 0, 1'000));
  server.turn();
  EXPECT_FALSE(server.session.is_closed());
  settle();
  EXPECT_EQ(server.count<oap::opened>(), 1u);
  EXPECT_EQ(server.session.send(corr, core::bytes::literal("x")), oap::send_status::would_block);
  client.session.resume(corr);
  settle();
  EXPECT_EQ(server.session.send(corr, core::bytes::literal("x")), oap::send_status::sent);
}

TEST_F(FrameLanes, TheSixtyFifthEarlyAckEndsTheConnection) {
  settle();
  oap::writer w;
  for (oap::corr_t c = 1; c <= 65; ++c)
    w.ack(c, 0, 8);
  std::vector<core::bytes> out;
  w.take(out);
  std::string all;
  for (const auto& b : out)
    all += b.text();
  server.lanes.on_stream_data(0, view(all).first(64 * oap::ack_bytes), false);
  server.turn();
  EXPECT_FALSE(server.session.is_closed());
  server.lanes.on_stream_data(0, view(all).subspan(64 * oap::ack_bytes), false);
  server.turn();
  ASSERT_TRUE(server.session.is_closed());
  EXPECT_EQ(server.last<oap::closed>()->why, oap::reason::ack_unopened);
  EXPECT_EQ(server.lanes.close_reason(), oap::reason::ack_unopened);
}

TEST_F(FrameLanes, AStartFarAheadOfAllOthersEndsTheConnection) {
  settle();
  const auto start_of = [](oap::corr_t corr) {
    oap::writer w;
    w.start({.corr = corr, .app = 1, .flags = oap::flag::end, .name = "ping"});
    std::vector<core::bytes> out;
    w.take(out);
    return std::string{out.at(0).text()};
  };
  const auto most = std::size_t{2} * server.session.limits().max_streams;
  const auto near = start_of(most + 1);
  server.lanes.on_stream_data(static_cast<stream_id>((most + 1) * 4), view(near), true);
  server.turn();
  EXPECT_EQ(server.count<oap::opened>(), 1u);
  const auto missing = start_of(most); // the last one before it comes late
  server.lanes.on_stream_data(static_cast<stream_id>(most * 4), view(missing), true);
  server.turn();
  EXPECT_EQ(server.count<oap::opened>(), 2u);
  const auto far = start_of(3 * most);
  server.lanes.on_stream_data(static_cast<stream_id>(12 * most), view(far), true);
  server.turn();
  ASSERT_TRUE(server.session.is_closed());
  EXPECT_EQ(server.last<oap::closed>()->why, oap::reason::state_conn);
}

TEST_F(FrameLanes, ASecondStartOnAStreamIsRejectedThere) {
  open(false);
  client.turn();
  const auto start = client.carrier.lanes[4].bytes;
  settle();
  server.lanes.on_stream_data(4, view(start), false);
  server.turn();
  ASSERT_NE(server.last<oap::stream_error>(), nullptr);
  EXPECT_EQ(server.last<oap::stream_error>()->why, oap::reason::state_stream);
  EXPECT_FALSE(server.session.is_closed());
}

TEST_F(FrameLanes, AFrameOnAnotherStreamBreaksTheMapping) {
  open(true);
  client.turn();
  const auto start = client.carrier.lanes[4].bytes;
  server.lanes.on_stream_data(8, view(start), false);
  EXPECT_EQ(server.lanes.breach(), oap::reason::state_conn);
}

TEST_F(FrameLanes, StreamFramesDoNotBelongOnStreamZero) {
  open(true);
  client.turn();
  const auto start = client.carrier.lanes[4].bytes;
  server.lanes.on_stream_data(0, view(start), false);
  EXPECT_EQ(server.lanes.breach(), oap::reason::state_conn);
}

TEST_F(FrameLanes, AStreamThatEndsInsideAFrameOrWithoutEndIsTruncated) {
  settle();
  open(false);
  client.turn();
  const auto start = client.carrier.lanes[4].bytes;
  {
    end_of_line other{side::server};
    other.lanes.on_stream_data(4, view(start).first(start.size() - 1), true);
    EXPECT_EQ(other.lanes.breach(), oap::reason::truncated);
  }
  server.lanes.on_stream_data(4, view(start), true);
  EXPECT_EQ(server.lanes.breach(), oap::reason::truncated);
}

TEST_F(FrameLanes, ALengthBeyondTheLimitIsRejectedAtOnce) {
  settle();
  std::string head(38, '\0');
  oap::store_be(reinterpret_cast<std::uint8_t*>(head.data()),
                core::limits::oap_frame_bytes_default + 1);
  server.lanes.on_stream_data(4, view(head), false);
  server.turn();
  ASSERT_TRUE(server.session.is_closed());
  EXPECT_EQ(server.last<oap::closed>()->why, oap::reason::oversize);
}

TEST_F(FrameLanes, CancelAfterEndStopsTheAnswer) {
  const auto corr = open(true);
  settle();
  client.session.cancel(corr);
  client.turn();
  ASSERT_TRUE(client.carrier.lanes[4].stop);
  settle();
  ASSERT_NE(server.last<oap::stream_error>(), nullptr);
  EXPECT_TRUE(server.last<oap::stream_error>()->cancelled);
  EXPECT_EQ(server.session.open_streams(), 0u);
  EXPECT_FALSE(server.session.is_closed());
  EXPECT_FALSE(client.session.is_closed());
}

TEST_F(FrameLanes, CancelBeforeEndIsAnErrorAndFin) {
  const auto corr = open(false);
  settle();
  client.session.cancel(corr);
  client.turn();
  EXPECT_TRUE(client.carrier.lanes[4].fin);
  settle();
  ASSERT_NE(server.last<oap::stream_error>(), nullptr);
  EXPECT_EQ(server.session.open_streams(), 0u);
  EXPECT_FALSE(server.session.is_closed());
}

TEST_F(FrameLanes, AResetStreamIsAnErrorWithItsReason) {
  open(false);
  settle();
  server.lanes.on_stream_reset(4, 0x10e);
  settle();
  ASSERT_NE(server.last<oap::stream_error>(), nullptr);
  EXPECT_EQ(server.last<oap::stream_error>()->why, oap::reason::timeout);
  EXPECT_EQ(server.session.open_streams(), 0u);
}

TEST_F(FrameLanes, AResetInsideAFrameGivesItsCreditBack) {
  open(false);
  settle();
  const auto before = server.carrier.credited;
  std::string head(38, '\0');
  oap::store_be(reinterpret_cast<std::uint8_t*>(head.data()), std::uint32_t{60'000});
  head[11] = 1; // app
  head[37] = 1; // corr
  head += std::string(1'000, 'x');
  server.lanes.on_stream_data(4, view(head), false);
  EXPECT_EQ(server.lanes.unfinished(), 1u);
  EXPECT_EQ(server.lanes.unfinished_bytes(), head.size());
  EXPECT_EQ(server.carrier.credited, before);
  server.lanes.on_stream_reset(4, 0x1f0);
  EXPECT_EQ(server.lanes.unfinished_bytes(), 0u);
  EXPECT_EQ(server.carrier.credited, before + head.size());
}

TEST_F(FrameLanes, UnfinishedFramesGetCreditWhenTheyHoldTooMuchOfTheWindow) {
  settle();
  const auto before = server.carrier.credited;
  std::size_t came = 0;
  for (stream_id id = 4; came < 2 * frame_lanes::assembling_max; id += 4) {
    std::string part(50'000, '\0');
    auto* head = reinterpret_cast<std::uint8_t*>(part.data());
    oap::store_be(head, std::uint32_t{60'000});
    oap::store_be(head + oap::off::app, std::uint16_t{1});
    oap::store_be(head + oap::off::corr, static_cast<oap::corr_t>(id) / 4);
    server.lanes.on_stream_data(id, view(part), false);
    came += part.size();
  }
  // All beyond the bound may be sent again at once, so that nobody waits for the other for ever.
  EXPECT_GE(server.carrier.credited - before + frame_lanes::assembling_max, came);
  EXPECT_LT(server.carrier.credited - before, came);
}

TEST_F(FrameLanes, AnErrorOfTheAnswererStopsTheOpener) {
  const auto corr = open(false);
  settle();
  server.session.fail(corr, {core::ec::timeout, "late"});
  server.turn();
  EXPECT_TRUE(server.carrier.lanes[4].fin);
  ASSERT_TRUE(server.carrier.lanes[4].stop);
  settle();
  ASSERT_NE(client.last<oap::stream_error>(), nullptr);
  EXPECT_EQ(client.session.open_streams(), 0u);
  EXPECT_EQ(client.lanes.breach(), oap::reason::none);
  EXPECT_EQ(server.lanes.breach(), oap::reason::none);
}

TEST_F(FrameLanes, StreamsWaitUntilTheyMayBeOpened) {
  client.carrier.allowed = 2; // stream 0 and one more
  open(true);
  open(true);
  open(true);
  settle();
  EXPECT_EQ(server.count<oap::opened>(), 1u);
  client.carrier.allowed = 2;
  client.lanes.on_streams_allowed();
  settle();
  EXPECT_EQ(server.count<oap::opened>(), 3u);
}

TEST_F(FrameLanes, DrainRefusesLateStreamsAndLetsOpenOnesEnd) {
  const auto first = open(true);
  settle();
  server.session.drain();
  server.turn();
  const auto late = open(true); // crosses the drain
  client.turn();
  ASSERT_TRUE(move(client, server, 8, 1'000));
  settle();
  ASSERT_NE(client.last<oap::stream_error>(), nullptr);
  EXPECT_EQ(client.last<oap::stream_error>()->corr, late);
  server.session.end(first);
  settle();
  EXPECT_TRUE(server.session.finished());
  EXPECT_TRUE(client.session.finished());
  EXPECT_EQ(server.lanes.close_reason(), oap::reason::none);
}

} // namespace
} // namespace ron::test
