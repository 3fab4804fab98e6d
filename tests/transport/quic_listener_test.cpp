#include "core/actor/actor.hpp"
#include "oap/writer.hpp"
#include "transport/oap_rig.hpp"
#include "transport/quic/client.hpp"
#include "transport/quic/quic_listener.hpp"

#include <algorithm>
#include <atomic>
#include <future>
#include <map>
#include <mutex>

namespace ron::test {
namespace {

namespace quic = transport::quic;
using namespace std::chrono_literals;

core::instant soon() {
  return std::chrono::steady_clock::now() + 20s;
}

/// The dialing side: a QUIC connection and a session. It reads only in `until`.
class quic_oap_client {
public:
  explicit quic_oap_client(std::unique_ptr<quic::client> c)
      : wire(std::move(c)), session(oap::role::dialer, {.independent_streams = true}) {
    // nop
  }
  oap::corr_t open(std::string_view name, core::json args = {}, bool end = true) {
    const auto map = args.is_null() ? core::bytes{} : core::dump_cbor(args);
    oap::open_request r;
    r.name = name;
    r.args = map.view();
    r.end = end;
    auto corr = session.open(r);
    EXPECT_TRUE(corr) << corr.error().message;
    flush();
    return corr.value_or(0);
  }
  void flush() {
    std::vector<core::bytes> out;
    if (session.take(out))
      wire->lanes().write(out);
    wire->flush();
  }
  /// Sends what pacing holds back, without a look at what has come.
  bool send_all() {
    const auto end = soon();
    for (auto& link = wire->link(); link.unsent_bytes() != 0; wire->flush()) {
      if (std::chrono::steady_clock::now() > end)
        return false;
      if (const auto due = link.wake_at(); due && *due <= std::chrono::steady_clock::now())
        link.on_timer(std::chrono::steady_clock::now());
    }
    return true;
  }
  void take() {
    while (wire->lanes().ready())
      session.on_bytes(wire->lanes().take(), std::chrono::steady_clock::now());
    oap::events some;
    while (session.take_events(some))
      for (auto& e : some) {
        if (auto* d = std::get_if<oap::data>(&e)) {
          bytes[d->corr] += d->bytes.size();
          session.consumed(d->corr);
        }
        seen.push_back(std::move(e));
      }
    flush();
  }
  bool until(const std::function<bool()>& condition) {
    const auto end = soon();
    for (take(); !condition(); take())
      if (!wire->turn(end))
        return false;
    return true;
  }
  bool ended(oap::corr_t corr) {
    return until([&] {
      return std::ranges::any_of(seen, [&](const auto& e) {
        auto* over = std::get_if<oap::ended>(&e);
        return over && over->corr == corr;
      });
    });
  }
  template <class E>
  const E* last() const {
    const E* out = nullptr;
    for (const auto& e : seen)
      if (auto* x = std::get_if<E>(&e))
        out = x;
    return out;
  }

  std::unique_ptr<quic::client> wire;
  oap::session session;
  std::vector<oap::event> seen;
  std::map<oap::corr_t, std::size_t> bytes;
};

class QuicListener : public ShardFixture {
public:
  QuicListener() : ShardFixture(2) { settings.session.features = {"x1"}; }
  ~QuicListener() override {
    clients.clear();
    if (listeners) {
      listeners->stop(shards);
      EXPECT_TRUE(eventually([&] {
        return std::ranges::all_of(*listeners->hubs, [](const auto& h) { return h.expired(); });
      }))
        << "a socket stayed";
    }
    for (const auto& a : connections)
      core::end(a);
    connections.clear();
    std::promise<void> done;
    shards.at(0).submit([this, &done] {
      toys.held.clear();
      done.set_value();
    });
    done.get_future().wait();
    EXPECT_TRUE(eventually([] { return core::directory::instance().size() == 0; }))
      << "an actor stayed";
    EXPECT_EQ(budget->connections(), 0u);
  }

  void start() {
    service = std::make_shared<transport::oap_service>(transport::operation_table{oap_toys(toys)},
                                                       gate, clock, registry, settings);
    parts = std::make_shared<quic::hub_parts>();
    quic::connection_offer offer;
    offer.connections.idle_timeout = 3s;
    offer.frame_max = core::limits::oap_frame_bytes_default;
    offer.frame_timeout = frame_timeout;
    offer.connections.handshake_timeout = handshake_timeout;
    if (!early.empty()) {
      offer.connections.early_data = true;
      parts->early_operations = std::make_shared<const std::vector<std::string>>(early);
    }
    auto options = world.server_options();
    options.alpn = {"oap/1"};
    parts->tls = [tls = core::crypto::tls_context::make_server(options).value()](std::size_t) {
      return tls;
    };
    parts->keys = std::make_shared<quic::secrets>();
    parts->budget = budget;
    parts->sockets = std::make_shared<transport::socket_metrics>(registry);
    parts->metrics = metrics = std::make_shared<quic::quic_metrics>(registry);
    parts->clock = &clock;
    offer.open = [this](core::shard& here, quic::quic_link_ptr link) {
      std::lock_guard guard{mutex};
      homes.push_back(here.index());
      connections.push_back(transport::open_oap_connection(
        here, service,
        [link = std::move(link)](boost::asio::io_context&, transport::link_owner o) mutable {
          link->belong_to(o);
          return transport::link_ptr{std::move(link)};
        }));
    };
    parts->offer.set(std::move(offer));
    sockets = parts->sockets;
    auto made = quic::start_quic(shards, {"127.0.0.1", 0}, 1u << 20, parts);
    ASSERT_TRUE(made) << made.error().message;
    listeners = std::move(*made);
  }

  core::result<std::unique_ptr<quic::client>> connect(std::chrono::milliseconds patience = 20s) {
    auto options = world.client_options();
    options.alpn = {"oap/1"};
    const auto tls = core::crypto::tls_context::make_client(options).value();
    return quic::client::dial({}, tls, "127.0.0.1", listeners->address.port,
                              core::limits::oap_frame_bytes_default,
                              std::chrono::steady_clock::now() + patience);
  }
  quic_oap_client& dial() {
    auto c = connect();
    EXPECT_TRUE(c) << c.error().message;
    return *clients.emplace_back(std::make_unique<quic_oap_client>(std::move(*c)));
  }

  /// A client that may use the first connection's ticket for early data.
  core::result<std::unique_ptr<quic::client>> connect_early(const quic::resumption& from) {
    quic::connection_settings how;
    how.early_data = true;
    return quic::client::dial(how, *client_context, "127.0.0.1", listeners->address.port,
                              core::limits::oap_frame_bytes_default, soon(), from);
  }
  /// What a first connection leaves.
  quic::resumption ticket() {
    auto options = world.client_options();
    options.alpn = {"oap/1"};
    client_context = core::crypto::tls_context::make_client(options).value();
    auto first = connect_early({});
    EXPECT_TRUE(first) << first.error().message;
    quic_oap_client c{std::move(*first)};
    quic::resumption kept;
    EXPECT_TRUE(c.until([&] {
      if (auto got = c.wire->link().take_resumption(); got.ticket)
        kept = std::move(got);
      return kept.ticket.has_value();
    }));
    return kept;
  }

  std::chrono::milliseconds frame_timeout{5'000};
  std::chrono::milliseconds handshake_timeout{5'000};
  std::vector<std::string> early;
  std::optional<core::crypto::tls_context> client_context;
  tls_world world;
  core::system_clock clock;
  core::metrics::registry registry;
  open_gate gate;
  oap_world toys;
  transport::oap_settings settings;
  std::shared_ptr<transport::connection_budget> budget =
    std::make_shared<transport::connection_budget>(transport::connection_limits{100, 100, 100});
  std::shared_ptr<transport::oap_service> service;
  std::shared_ptr<quic::hub_parts> parts;
  std::atomic<int> opened_anew{0};
  std::shared_ptr<transport::socket_metrics> sockets;
  std::shared_ptr<quic::quic_metrics> metrics;
  std::optional<quic::quic_listeners> listeners;
  std::vector<std::unique_ptr<quic_oap_client>> clients;
  std::mutex mutex; ///< of the following two
  std::vector<caf::actor> connections;
  std::vector<std::size_t> homes;
};

TEST_F(QuicListener, OperationsAnswer) {
  start();
  auto& c = dial();
  const auto ping = c.open("ping");
  EXPECT_TRUE(c.ended(ping));
  const auto object = c.open("object", {{"size", 3'000'000}});
  EXPECT_TRUE(c.ended(object));
  EXPECT_GT(c.bytes[object], 3'000'000u);
  const auto echo = c.open("echo", {}, false);
  EXPECT_EQ(c.session.send(echo, core::bytes::copy(std::string(50'000, 'x'))),
            oap::send_status::sent);
  c.session.end(echo);
  c.flush();
  EXPECT_TRUE(c.ended(echo));
  EXPECT_EQ(c.bytes[echo], 50'000u);
}

TEST_F(QuicListener, AnotherOfferIsForNewConnections) {
  start();
  auto& old = dial();
  ASSERT_TRUE(old.ended(old.open("ping")));
  auto offer = *parts->offer.get();
  offer.open = [this, then = offer.open](core::shard& here, quic::quic_link_ptr link) {
    ++opened_anew;
    then(here, std::move(link));
  };
  parts->offer.set(offer);
  auto& c = dial();
  EXPECT_TRUE(c.ended(c.open("ping")));
  EXPECT_EQ(opened_anew.load(), 1);
  EXPECT_TRUE(old.ended(old.open("ping")));
}

TEST_F(QuicListener, ManyStreamsAndConnectionsOnTheirShards) {
  start();
  for (int i = 0; i < 12; ++i)
    dial();
  std::vector<std::vector<oap::corr_t>> corrs(clients.size());
  for (std::size_t i = 0; i < clients.size(); ++i)
    for (int k = 0; k < 30; ++k)
      corrs[i].push_back(clients[i]->open("object", {{"size", 20'000}}));
  for (std::size_t i = 0; i < clients.size(); ++i)
    for (auto corr : corrs[i])
      EXPECT_TRUE(clients[i]->ended(corr));
  EXPECT_EQ(sockets->connections.value(transport::entrance::oap_quic), 12);
  EXPECT_EQ(metrics->forwarded.value(), 0u) << "the kernel knows which socket it is";
  clients.clear();
  EXPECT_TRUE(
    eventually([&] { return sockets->connections.value(transport::entrance::oap_quic) == 0; }));
  EXPECT_EQ(service->wire().endings.value(transport::ending::clean), 12u);
}

TEST_F(QuicListener, APeerOverItsLimitIsRefusedAndPlacesComeBack) {
  budget->set_limits({100, 1, 100});
  start();
  dial();
  auto second = connect();
  ASSERT_FALSE(second);
  EXPECT_EQ(sockets->refused.value(transport::entrance::oap_quic, transport::refusal::per_peer),
            1u);
  clients.clear();
  EXPECT_TRUE(eventually([&] { return budget->connections() == 0; }));
  dial();
}

TEST_F(QuicListener, AFrameOnAnotherStreamEndsTheConnectionWithItsReason) {
  start();
  auto& c = dial();
  ASSERT_TRUE(c.ended(c.open("ping")));
  oap::writer w;
  w.start({.corr = 9, .app = 1, .name = "ping"});
  std::vector<core::bytes> out;
  w.take(out);
  const auto id = c.wire->link().open_stream();
  ASSERT_TRUE(id);
  for (auto& b : out)
    c.wire->link().send(*id, b);
  c.wire->link().finish(*id);
  EXPECT_TRUE(c.until([&] { return c.session.is_closed(); }));
  ASSERT_NE(c.last<oap::closed>(), nullptr);
  EXPECT_EQ(c.last<oap::closed>()->why, oap::reason::state_conn);
  EXPECT_EQ(service->wire().rejects.value(oap::bucket::header_malformed), 1u);
  EXPECT_TRUE(c.until([&] { return !c.wire->is_open(); }));
  EXPECT_TRUE(c.wire->link().ending().application);
  EXPECT_EQ(c.wire->link().ending().code, static_cast<std::uint64_t>(oap::reason::state_conn));
}

TEST_F(QuicListener, DrainLetsStreamsEnd) {
  start();
  auto& c = dial();
  const auto corr = c.open("echo", {}, false);
  c.session.send(corr, core::bytes::literal("x"));
  c.flush();
  ASSERT_TRUE(c.until([&] { return c.bytes[corr] == 1; }));
  {
    std::lock_guard guard{mutex};
    caf::anon_send(connections.at(0), atom::drain_v);
  }
  ASSERT_TRUE(c.until([&] { return c.last<oap::draining>() != nullptr; }));
  c.session.end(corr);
  c.flush();
  EXPECT_TRUE(c.ended(corr));
  EXPECT_TRUE(c.until([&] { return c.wire->lanes().peer_done() || !c.wire->is_open(); }));
  clients.clear();
  EXPECT_TRUE(eventually([&] { return budget->connections() == 0; }));
}

TEST_F(QuicListener, StopsAcceptingAndServesOn) {
  start();
  auto& c = dial();
  ASSERT_TRUE(c.ended(c.open("ping")));
  listeners->stop(shards);
  for (std::size_t i = 0; i < shards.size(); ++i) { // each has heard of it
    std::promise<void> heard;
    shards.at(i).submit([&heard] { heard.set_value(); });
    heard.get_future().wait();
  }
  EXPECT_FALSE(connect(700ms));
  EXPECT_TRUE(c.ended(c.open("ping")));
}

TEST_F(QuicListener, DatagramsForABusyShardAreBounded) {
  start();
  std::promise<void> go;
  std::promise<void> stands;
  shards.at(1).submit([&stands, may_go = go.get_future().share()] {
    stands.set_value();
    may_go.wait();
  });
  stands.get_future().wait();
  const auto h = listeners->hubs->at(1).lock();
  ASSERT_TRUE(h);
  const std::vector<std::uint8_t> junk(100, 0x40);
  const quic::path from{quic::address::loopback(1), quic::address::loopback(2)};
  for (std::uint32_t i = 0; i < quic::hub::forwards_max + 3; ++i)
    h->forward(from, junk);
  EXPECT_EQ(metrics->drops.value(quic::drop::forward), 3u);
  go.set_value();
}

TEST_F(QuicListener, AnUnfinishedFrameEndsItsStreamAtItsDeadlineAndNoOther) {
  frame_timeout = 200ms;
  start();
  auto& c = dial();
  const auto good = c.open("echo", {}, false);
  const auto slow = c.open("echo", {}, false);
  c.wire->link().send(static_cast<quic::stream_id>(slow * 4),
                      core::bytes::copy(std::string{"\0\0\0\x40\0\x01", 6}));
  ASSERT_TRUE(c.until([&] { return c.last<oap::stream_error>() != nullptr; }));
  EXPECT_EQ(c.last<oap::stream_error>()->corr, slow);
  EXPECT_EQ(c.last<oap::stream_error>()->why, oap::reason::timeout);
  EXPECT_TRUE(c.ended(c.open("ping")));
  EXPECT_EQ(c.session.send(good, core::bytes::copy(std::string(50'000, 'x'))),
            oap::send_status::sent);
  c.session.end(good);
  c.flush();
  EXPECT_TRUE(c.ended(good));
  EXPECT_EQ(c.bytes[good], 50'000u);
  EXPECT_EQ(metrics->slow_streams.value(), 1u);
}

TEST_F(QuicListener, AnUnfinishedFrameOfTheConnectionEndsItAtItsDeadline) {
  settings.line.read_timeout = 200ms;
  start();
  auto& c = dial();
  ASSERT_TRUE(c.ended(c.open("ping")));
  c.wire->link().send(0, core::bytes::copy(std::string{"\0\0\0\x40\0\x01", 6}));
  EXPECT_TRUE(c.until([&] { return !c.wire->is_open(); }));
  EXPECT_TRUE(
    eventually([&] { return service->wire().endings.value(transport::ending::timeout) == 1; }));
}

TEST_F(QuicListener, ASafeOperationRunsFromEarlyDataAndAnotherOneWaits) {
  early = {"ping"};
  start();
  auto made = connect_early(ticket());
  ASSERT_TRUE(made) << made.error().message;
  quic_oap_client c{std::move(*made)};
  ASSERT_TRUE(c.wire->link().early());
  c.wire->lanes().run_early(std::make_shared<const std::vector<std::string>>(
    std::vector<std::string>{"ping", "sink"})); // this client keeps nothing back
  const auto sink = c.open("sink", {}, false);
  EXPECT_EQ(c.session.send(sink, core::bytes::copy(std::string(1'000, 'x'))),
            oap::send_status::sent);
  c.session.end(sink);
  const auto ping = c.open("ping");
  EXPECT_TRUE(c.ended(ping));
  EXPECT_TRUE(c.ended(sink));
  EXPECT_EQ(c.wire->link().early_data(), quic::early_fate::accepted);
  EXPECT_TRUE(eventually(
    [&] { return metrics->early_data.value(quic::early_outcome::accepted) == 1; }));
  EXPECT_EQ(metrics->early_held.value(), 1u);
}

// Somebody has recorded what a client said first and says it, too. It never gets beyond early data,
// so what may not be repeated does not run, however often it comes.
TEST_F(QuicListener, WhatIsRepeatedRunsOnlyIfItIsSafe) {
  early = {"ping"};
  handshake_timeout = 300ms;
  start();
  const auto kept = ticket();
  const auto streams = service->wire().streams_total.value();
  for (int i = 0; i < 3; ++i) {
    auto made = connect_early(kept);
    ASSERT_TRUE(made) << made.error().message;
    auto& c = *clients.emplace_back(std::make_unique<quic_oap_client>(std::move(*made)));
    c.wire->lanes().run_early(std::make_shared<const std::vector<std::string>>(
      std::vector<std::string>{"ping", "sink"}));
    const auto sink = c.open("sink", {}, false);
    c.session.send(sink, core::bytes::copy(std::string(100, 'x')));
    c.session.end(sink);
    c.open("ping");
    EXPECT_TRUE(c.send_all()); // and is never turned, so it does not answer
  }
  EXPECT_TRUE(
    eventually([&] { return sockets->handshakes.value(transport::handshake::timeout) == 3; }));
  EXPECT_TRUE(eventually([&] { // counted when the connections end
    return service->wire().streams_total.value() - streams == 3u;
  })) << "the pings";
  EXPECT_EQ(toys.uploaded, 0u);
  EXPECT_EQ(metrics->early_held.value(), 3u);
  EXPECT_EQ(metrics->early_data.value(quic::early_outcome::accepted), 0u) << "nobody was there";
  EXPECT_TRUE(eventually([&] { return budget->connections() == 0; }));
}

TEST_F(QuicListener, EarlyDataIsRefusedUnlessItIsAllowed) {
  start();
  const auto kept = ticket();
  EXPECT_TRUE(kept.params.empty());
  auto made = connect_early(kept);
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_FALSE((*made)->link().early());
  quic_oap_client c{std::move(*made)};
  EXPECT_TRUE(c.ended(c.open("ping")));
  EXPECT_TRUE(c.wire->link().tls().resumed);
  EXPECT_EQ(c.wire->link().early_data(), quic::early_fate::none);
}

TEST_F(QuicListener, APeerThatVanishesIsForgotten) {
  start();
  auto& c = dial();
  ASSERT_TRUE(c.ended(c.open("ping")));
  c.open("hang");
  ASSERT_TRUE(c.until([&] { return service->wire().streams.value() == 1; }));
  // Nobody turns the client any more: to the node it is gone, and its stream with it.
  EXPECT_TRUE(eventually([&] { return toys.cancelled == 1; }));
  EXPECT_TRUE(
    eventually([&] { return sockets->connections.value(transport::entrance::oap_quic) == 0; }));
  EXPECT_EQ(service->wire().endings.value(transport::ending::broken), 1u);
}

} // namespace
} // namespace ron::test
