#include "core/actor/atoms.hpp"
#include "transport/oap_rig.hpp"

namespace {

using namespace ron;
using namespace std::chrono_literals;
using transport::ending;
using transport::route;

/// One connection after the other; deadlines of a test are short only where it waits for them.
class OapConnection : public test::OapRig {};

// -- deadlines -----------------------------------------------------------------------

TEST_F(OapConnection, SilentTcpPeerIsClosedAtTheHandshakeDeadline) {
  settings.line.handshake_timeout = 50ms;
  auto peer = dial_socket();
  EXPECT_EQ(test::receive_some(peer.fd()), "");
  EXPECT_TRUE(quiet(ending::timeout));
}

TEST_F(OapConnection, PeerWithoutHelloIsClosedAtTheSameDeadline) {
  settings.line.handshake_timeout = 150ms;
  auto& c = dial();
  EXPECT_FALSE(c.socket().read_all().empty()) << "the node's HELLO, then the end";
  EXPECT_TRUE(quiet(ending::timeout));
}

TEST_F(OapConnection, IdleConnectionIsTakenBackInGoodOrder) {
  settings.line.idle_timeout = 50ms;
  auto& c = dial();
  ASSERT_TRUE(c.flush());
  const auto* said = c.find<oap::draining>();
  ASSERT_NE(said, nullptr) << "a START that crosses may be repeated";
  EXPECT_EQ(said->last_seq, 0u);
  EXPECT_TRUE(c.at_end());
  EXPECT_TRUE(c.socket().session().peer_closed()) << "with close_notify";
  EXPECT_TRUE(quiet(ending::timeout));
}

TEST_F(OapConnection, OtherSettingsAreForNewConnections) {
  auto& old = dial();
  ASSERT_TRUE(old.ended(old.open("ping", {}, {.end = true})));
  settings.request_timeout = 50ms;
  settings.session.max_streams = 64;
  reload();
  auto& c = dial();
  const auto hangs = old.open("hang", {}, {.end = true});
  EXPECT_TRUE(old.flush());
  const auto* e = c.error_of(c.open("hang", {}, {.end = true}));
  ASSERT_NE(e, nullptr);
  EXPECT_EQ(e->status, core::oap_status(core::ec::downstream_timeout));
  EXPECT_EQ(c.session().limits().max_streams, 64u);
  ASSERT_TRUE(old.ended(old.open("ping", {}, {.end = true})));
  EXPECT_GT(old.session().limits().max_streams, 64u);
  for (const auto& seen : old.seen) {
    const auto* failed = std::get_if<oap::stream_error>(&seen);
    EXPECT_FALSE(failed && failed->corr == hangs) << "it keeps the time that it began with";
  }
}

TEST_F(OapConnection, OpenStreamIsNotIdle) {
  settings.line.idle_timeout = 20ms;
  settings.request_timeout = 300ms;
  auto& c = dial();
  auto corr = c.open("hang", {}, {.end = true});
  const auto* e = c.error_of(corr);
  ASSERT_NE(e, nullptr);
  EXPECT_EQ(e->status, core::oap_status(core::ec::downstream_timeout));
  EXPECT_TRUE(c.at_end());
  EXPECT_TRUE(quiet(ending::timeout));
}

TEST_F(OapConnection, UnfinishedFrameEndsTheConnection) {
  settings.line.read_timeout = 50ms;
  auto& c = dial();
  ASSERT_TRUE(c.flush());
  ASSERT_NE(c.find<oap::peer_hello>(), nullptr);
  ASSERT_TRUE(c.socket().write(std::string{"\0\0\0\x40\0\x01", 6}));
  EXPECT_TRUE(c.at_end());
  EXPECT_TRUE(quiet(ending::timeout));
}

TEST_F(OapConnection, ReaderThatTakesNothingIsClosed) {
  settings.line.write_timeout = 100ms;
  oap::session_settings mine;
  mine.ack_window = 1'024;
  mine.max_inflight = 1'024;
  settings.session.ack_window = 1'024;
  settings.session.max_inflight = 1'024;
  auto& c = dial(4'096, mine);
  ASSERT_NE(c.find<oap::peer_hello>(), nullptr);
  auto corr = c.open("object", {{"size", 32u << 20}},
                     {.reply_objects = true, .end = true, .window = 1'024});
  ASSERT_NE(corr, 0u);
  EXPECT_TRUE(quiet(ending::timeout)) << "nobody reads, and nobody waits";
  EXPECT_TRUE(test::eventually([&] { return toys.cancelled == 1; }));
  EXPECT_LT(toys.produced, 8u << 20) << "what nobody takes is not produced";
}

// -- credit --------------------------------------------------------------------------

TEST_F(OapConnection, StreamWithoutCreditStopsAndOthersGoOn) {
  auto& c = dial();
  c.consumes = false;
  auto slow = c.open("object", {{"size", 10u << 20}}, {.reply_objects = true, .end = true});
  // The map and the pieces that the first window lets through.
  const auto window = core::limits::oap_ack_window_default;
  ASSERT_TRUE(c.until([&](const auto& x) { return x.bytes_of(slow) > (window - 1) * 32'768; }));
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(c.ended(c.open("ping", {}, {.end = true})));
  EXPECT_LE(toys.produced, (window + 6) * 32'768) << "production stops with the credit";
  c.session().consumed(slow, window);
  c.consumes = true;
  c.flush();
  EXPECT_TRUE(c.ended(slow));
  EXPECT_EQ(toys.produced, 10u << 20);
}

TEST_F(OapConnection, AnswerThatNobodyTakesIsGivenUp) {
  settings.stall_timeout = 100ms;
  auto& c = dial();
  c.consumes = false;
  auto slow = c.open("object", {{"size", 10u << 20}}, {.reply_objects = true, .end = true});
  const auto* e = c.error_of(slow);
  ASSERT_NE(e, nullptr);
  EXPECT_EQ(e->why, oap::reason::timeout);
  EXPECT_TRUE(test::eventually([this] { return toys.cancelled == 1; }));
  EXPECT_TRUE(test::eventually([this] { return gate.slots == 0; }));
  EXPECT_TRUE(c.ended(c.open("ping", {}, {.end = true}))) << "the connection lives";
  EXPECT_EQ(wire().streams.value(), 0);
}

TEST_F(OapConnection, AnErrorDoesNotWaitForCredit) {
  auto& c = dial();
  c.consumes = false;
  auto corr = c.open("torn", {}, {.reply_objects = true, .end = true, .window = 1});
  const auto* e = c.error_of(corr);
  ASSERT_NE(e, nullptr) << "the piece before it waits for ever";
  EXPECT_EQ(e->status, core::oap_status(core::ec::bad_digest));
  EXPECT_TRUE(test::eventually([this] { return wire().streams.value() == 0; }));
}

TEST_F(OapConnection, StreamsBeyondTheCapAreRefusedAndTheRestServed) {
  settings.session.max_streams = 64;
  auto& c = dial();
  ASSERT_NE(c.find<oap::peer_hello>(), nullptr);
  std::vector<oap::corr_t> open;
  for (int i = 0; i < 64; ++i)
    open.push_back(c.open("wait", {}, {.end = true}));
  ASSERT_TRUE(test::eventually([this] { return wire().streams.value() == 64; }));
  EXPECT_FALSE(c.session().open({.name = "ping", .end = true})) << "our own session knows";
  EXPECT_TRUE(c.session().cancel(open.front()));
  EXPECT_TRUE(c.ended(c.open("ping", {}, {.end = true})));
  EXPECT_EQ(wire().streams.value(), 63);
}

TEST_F(OapConnection, AnswerWhoseEndWaitsForCreditFreesItsStream) {
  auto& c = dial();
  c.consumes = false;
  constexpr std::size_t size = 128u << 10;
  auto corr = c.open("object", {{"size", size}}, {.reply_objects = true, .end = true, .window = 2});
  ASSERT_TRUE(c.until([&](const auto& x) { return x.bytes_of(corr) > 32'768; }));
  ASSERT_TRUE(test::eventually([&] { return toys.produced == size && gate.slots == 0; }));
  EXPECT_EQ(wire().streams.value(), 1);
  c.consumes = true;
  c.session().consumed(corr, 2);
  c.flush();
  EXPECT_TRUE(c.ended(corr));
  EXPECT_TRUE(test::eventually([this] { return wire().streams.value() == 0; }));
}

// -- cancel and drain ------------------------------------------------------------------

TEST_F(OapConnection, CancelReachesTheOperation) {
  auto& c = dial();
  auto corr = c.open("wait", {}, {.end = true});
  ASSERT_TRUE(test::eventually([this] { return gate.slots == 1; }));
  EXPECT_TRUE(c.session().cancel(corr));
  c.flush();
  EXPECT_TRUE(test::eventually([this] { return toys.cancelled == 1 && gate.slots == 0; }));
  EXPECT_TRUE(c.ended(c.open("ping", {}, {.end = true})));
}

TEST_F(OapConnection, DrainFinishesWhatRunsAndRefusesTheRest) {
  auto& c = dial();
  auto corr = c.open("sink");
  ASSERT_EQ(c.session().send(corr, core::bytes::copy("abc")), oap::send_status::sent);
  c.flush();
  ASSERT_TRUE(test::eventually([this] { return toys.uploaded == 3; }));
  caf::anon_send(connection(), atom::drain_v);
  const auto* said = c.find<oap::draining>();
  ASSERT_NE(said, nullptr);
  EXPECT_EQ(said->last_seq, corr);
  EXPECT_FALSE(c.session().open({.name = "ping", .end = true}));
  ASSERT_EQ(c.session().send(corr, core::bytes::copy("def"), {.end = true}),
            oap::send_status::sent);
  c.flush();
  EXPECT_TRUE(c.ended(corr));
  EXPECT_EQ(toys.uploaded, 6u);
  EXPECT_TRUE(c.at_end());
  EXPECT_TRUE(quiet(ending::clean));
}

TEST_F(OapConnection, DrainLosesNothingToASlowReader) {
  settings.line.discard_timeout = 10ms; // far less than the reading takes
  oap::session_settings mine;
  mine.ack_window = mine.max_inflight = 1'024;
  settings.session.ack_window = settings.session.max_inflight = 1'024;
  auto& c = dial(4'096, mine);
  ASSERT_NE(c.find<oap::peer_hello>(), nullptr);
  constexpr std::size_t size = 192u << 10;
  auto corr =
      c.open("object", {{"size", size}}, {.reply_objects = true, .end = true, .window = 1'024});
  ASSERT_TRUE(test::eventually([&] { return toys.produced == size && gate.slots == 0; }));
  caf::anon_send(connection(), atom::drain_v);
  EXPECT_TRUE(c.ended(corr));
  EXPECT_GT(c.bytes_of(corr), size);
  EXPECT_TRUE(c.at_end());
  EXPECT_TRUE(quiet(ending::clean));
}

TEST_F(OapConnection, DrainDuringTheHandshakeCutsIt) {
  auto peer = dial_socket();
  caf::anon_send(connection(), atom::drain_v);
  EXPECT_EQ(test::receive_some(peer.fd()), "");
  EXPECT_TRUE(quiet(ending::cut));
}

// -- what is measured -------------------------------------------------------------------

TEST_F(OapConnection, AnswersThatWaitForAWindowStarveUntilTheyMove) {
  settings.starved_after = 40ms;
  auto& c = dial();
  c.consumes = false;
  std::vector<oap::corr_t> slow;
  for (int i = 0; i < 3; ++i)
    slow.push_back(c.open("object", {{"size", 128u << 10}},
                          {.reply_objects = true, .end = true, .window = 2}));
  ASSERT_TRUE(c.ended(c.open("ping", {}, {.end = true})));
  EXPECT_TRUE(test::eventually([this] { return wire().streams_starved.value() == 3; }));
  EXPECT_TRUE(c.session().cancel(slow.back()));
  c.flush();
  EXPECT_TRUE(test::eventually([this] { return wire().streams_starved.value() == 2; }));
  c.consumes = true;
  for (int i = 0; i < 2; ++i)
    c.session().consumed(slow[i], 2);
  c.flush();
  EXPECT_TRUE(c.ended(slow[0]) && c.ended(slow[1]));
  EXPECT_TRUE(test::eventually([this] { return wire().streams_starved.value() == 0; }));
  c.socket().close_notify();
  EXPECT_TRUE(quiet(ending::clean));
  EXPECT_EQ(wire().credit.value(transport::direction::out), 0);
  EXPECT_EQ(wire().credit.value(transport::direction::in), 0);
}

TEST_F(OapConnection, UnfinishedFramesAndWaitingBodiesAreStaged) {
  auto& c = dial();
  ASSERT_TRUE(c.ended(c.open("ping", {}, {.end = true})));
  EXPECT_EQ(wire().staging_bytes.value(), 0);
  ASSERT_TRUE(c.socket().write(std::string{"\0\0\xff\xff\0\x01", 6}));
  EXPECT_TRUE(test::eventually([this] { return wire().staging_bytes.value() >= 6; }));
  EXPECT_LE(wire().staging_bytes.value(), 1 << 20) << "not what the frame promises";
  c.socket().reset();
  EXPECT_TRUE(quiet(ending::broken));
  EXPECT_EQ(wire().staging_bytes.value(), 0);

  auto& other = dial();
  auto corr = other.open("hang"); // asks for no body
  ASSERT_EQ(other.session().send(corr, core::bytes::copy(std::string(1'000, 'x'))),
            oap::send_status::sent);
  other.flush();
  EXPECT_TRUE(test::eventually([this] { return wire().staging_bytes.value() == 1'000; }));
  EXPECT_TRUE(other.session().cancel(corr));
  other.flush();
  EXPECT_TRUE(test::eventually([this] { return wire().staging_bytes.value() == 0; }));
}

TEST_F(OapConnection, ReadingAndFramingAreTimed) {
  auto& c = dial();
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(c.ended(c.open("echo", {}, {.end = true})));
  ASSERT_TRUE(c.ended(c.open("object", {{"size", 65'536}}, {.reply_objects = true, .end = true})));
  EXPECT_GE(wire().decode_seconds.count(), 20u);
  EXPECT_GE(wire().encode_seconds.count(), 1u);
  registry.tick(clock.now());
  EXPECT_LT(wire().decode_p95.value(), 0.02);
}

// -- errors --------------------------------------------------------------------------

TEST_F(OapConnection, EveryErrorHasReasonAndStatusOfTheTable) {
  auto& c = dial();
  for (std::size_t i = 1; i < core::ec_count; ++i) {
    const auto why = static_cast<core::ec>(i);
    gate.refuse = why;
    const auto* e = c.error_of(c.open("ping", {}, {.end = true}));
    ASSERT_NE(e, nullptr) << core::to_string(why);
    EXPECT_EQ(static_cast<std::uint16_t>(e->why), core::info(why).oap_reason)
        << core::to_string(why);
    EXPECT_EQ(e->status, core::oap_status(why)) << core::to_string(why);
    EXPECT_EQ(e->status, oap::status_of(e->why)) << core::to_string(why);
  }
  gate.refuse = core::ec::none;
  EXPECT_TRUE(c.ended(c.open("ping", {}, {.end = true}))) << "none of them ends the connection";
}

// -- death ---------------------------------------------------------------------------

TEST_F(OapConnection, DeathInAnUploadAnswersEveryRequest) {
  auto& c = dial();
  for (int i = 0; i < 10; ++i) {
    auto corr = c.open("sink");
    ASSERT_EQ(c.session().send(corr, core::bytes::copy("abc")), oap::send_status::sent);
  }
  for (int i = 0; i < 5; ++i)
    c.open("wait", {}, {.end = true});
  c.flush();
  ASSERT_TRUE(test::eventually([this] { return toys.uploaded == 30 && gate.slots == 15; }));
  c.socket().reset();
  EXPECT_TRUE(quiet(ending::broken));
  EXPECT_EQ(toys.bodies_failed, 10);
  EXPECT_EQ(toys.cancelled, 5);
  EXPECT_EQ(wire().rejects.value(oap::bucket::truncated), 1u) << "once for the connection";
}

TEST_F(OapConnection, AnOperationThatThrowsEndsItsStreamAndNothingElse) {
  auto& c = dial();
  const auto other = c.open("echo");
  ASSERT_EQ(c.session().send(other, core::bytes::copy("abc")), oap::send_status::sent);
  c.flush();
  ASSERT_TRUE(c.until([&](const auto& x) { return x.bytes_of(other) == 3; }));
  const auto deaths = core::directory::instance().deaths_total();
  for (int i = 0; i < 3; ++i) {
    const auto* e = c.error_of(c.open("throw", {}, {.end = true}));
    ASSERT_NE(e, nullptr);
    EXPECT_EQ(e->status, core::oap_status(core::ec::internal));
  }
  const auto late = c.open("throw.late");
  ASSERT_EQ(c.session().send(late, core::bytes::copy("abc")), oap::send_status::sent);
  c.flush();
  const auto* e = c.error_of(late);
  ASSERT_NE(e, nullptr);
  EXPECT_EQ(e->status, core::oap_status(core::ec::internal));
  EXPECT_EQ(core::directory::instance().deaths_total(), deaths + 4);
  // The others go on, and no slot of the dead is given to a new stream.
  ASSERT_EQ(c.session().send(other, core::bytes::copy("def"), {.end = true}),
            oap::send_status::sent);
  c.flush();
  EXPECT_TRUE(c.ended(other));
  EXPECT_EQ(c.bytes_of(other), 6u);
  for (int i = 0; i < 5; ++i)
    EXPECT_TRUE(c.ended(c.open("ping", {}, {.end = true})));
  EXPECT_TRUE(test::eventually([this] { return wire().streams.value() == 0; }));
}

TEST_F(OapConnection, WhatIsHandedOverIsInTheDirectory) {
  auto& c = dial();
  const auto corr = c.open("echo");
  constexpr std::size_t pieces = 10;
  for (std::size_t i = 1; i <= pieces; ++i) {
    ASSERT_EQ(c.session().send(corr, core::bytes::copy("abc")), oap::send_status::sent);
    c.flush();
    ASSERT_TRUE(c.until([&](const auto& x) { return x.bytes_of(corr) == 3 * i; }));
  }
  auto& all = core::directory::instance();
  const auto found = all.snapshot(
      [](const core::actor_record& a) { return std::string_view{a.type} == "oap.stream"; });
  ASSERT_EQ(found.size(), 1u);
  const auto& stream = found.front();
  EXPECT_GE(stream.in, pieces) << "each piece came by itself, the first one with START";
  EXPECT_GE(stream.out, pieces) << "as did the answers";
  EXPECT_NE(stream.last.name().find("stream_input"), std::string::npos) << stream.last.name();
  EXPECT_EQ(stream.depth, 0u);
  const auto owner = all.get(stream.parent);
  ASSERT_TRUE(owner);
  EXPECT_STREQ(owner->type, "oap.connection");
  EXPECT_GE(owner->in, pieces);
  EXPECT_GE(owner->out, pieces);
}

TEST_F(OapConnection, EndOfTheActorAnswersEveryRequest) {
  auto& c = dial();
  auto corr = c.open("sink");
  ASSERT_EQ(c.session().send(corr, core::bytes::copy("abc")), oap::send_status::sent);
  c.flush();
  ASSERT_TRUE(test::eventually([this] { return toys.uploaded == 3; }));
  core::end(caf::actor_cast<caf::strong_actor_ptr>(connection()), caf::exit_reason::user_shutdown);
  EXPECT_TRUE(c.at_end());
  EXPECT_TRUE(quiet(ending::cut));
  EXPECT_EQ(toys.bodies_failed, 1);
}

TEST_F(OapConnection, ABreachIsAnsweredCountedAndReadOut) {
  auto& c = dial();
  ASSERT_TRUE(c.flush());
  ASSERT_NE(c.find<oap::peer_hello>(), nullptr);
  std::string oversize{"\x7f\xff\xff\xff", 4};
  ASSERT_TRUE(c.socket().write(oversize + std::string(200'000, 'x')));
  const auto* over = c.find<oap::closed>();
  ASSERT_NE(over, nullptr);
  EXPECT_EQ(over->why, oap::reason::oversize);
  EXPECT_EQ(wire().rejects.value(oap::bucket::frame_oversize), 1u) << "counted before it is told";
  EXPECT_EQ(wire().frames_out.value(oap::kind::error), 1u);
  c.socket().close_notify();
  EXPECT_TRUE(quiet(ending::reject));
}

} // namespace
