#pragma once

#include "core/crypto/identity.hpp"
#include "core/crypto/tickets.hpp"
#include "core/ids.hpp"
#include "transport/quic/endpoint.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

/// QUIC without a network: one endpoint, clients, and between them a wire that loses, doubles,
/// reorders, delays and damages datagrams as a seed says, on a clock that only moves by itself.
namespace ron::test {

namespace quic = transport::quic;
using namespace std::chrono_literals;

/// What a wire does to each datagram, in per mille.
struct quic_weather {
  unsigned loss = 0;
  unsigned twice = 0;
  unsigned damage = 0;
  std::chrono::milliseconds delay{5};
  std::chrono::milliseconds jitter{0}; ///< of delay: what reorders
  bool bleach = false;                 ///< takes the ECN marks off
};

/// What one end of a connection saw. A server's end echoes.
class quic_peer final : public quic::stream_events {
public:
  explicit quic_peer(bool echo) : echo_(echo) {
    // nop
  }
  void on_open() override { ++opened; }
  void on_stream_data(quic::stream_id id, core::byte_view data, bool fin) override {
    early = early || connection->early();
    got[id].append(reinterpret_cast<const char*>(data.data()), data.size());
    order.push_back({id, data.size()});
    if (takes)
      connection->credit(data.size());
    if (echo_)
      connection->send(id, core::bytes::copy(data));
    if (fin) {
      ended[id] = true;
      if (echo_)
        connection->finish(id);
    }
  }
  void on_stream_reset(quic::stream_id id, quic::app_code code) override { resets[id] = code; }
  void on_stream_stopped(quic::stream_id id, quic::app_code code) override { stops[id] = code; }
  void on_stream_closed(quic::stream_id id) override { closed[id] = true; }
  void on_streams_allowed() override { ++allowed; }

  quic::connection* connection = nullptr;
  std::map<quic::stream_id, std::string> got;
  std::vector<std::pair<quic::stream_id, std::size_t>> order; ///< bytes as they came
  std::map<quic::stream_id, bool> ended;
  std::map<quic::stream_id, bool> closed;
  std::map<quic::stream_id, quic::app_code> resets;
  std::map<quic::stream_id, quic::app_code> stops;
  int allowed = 0;
  int opened = 0;     ///< calls of `on_open`
  bool early = false; ///< data came before it
  bool takes = true; ///< gives the connection's window back

private:
  bool echo_;
};

/// Ids of a client: nobody looks them up.
class quic_client_ids final : public quic::id_source {
public:
  quic::connection_id make_id(quic::connection&, quic::reset_token& token) override {
    quic::connection_id id;
    id.size = 8;
    core::random_bytes({id.bytes.data(), id.size});
    core::random_bytes(token);
    return id;
  }
  void retire_id(const quic::connection_id&) override {
    // nop
  }
};

class quic_sim final : public quic::endpoint_host {
public:
  struct client {
    quic_peer peer{false};
    quic_client_ids ids;
    std::unique_ptr<quic::connection> connection;
    quic::path where;
    std::optional<quic::address> nat; ///< as the others see its address, if that is another one
  };

  explicit quic_sim(std::uint64_t seed_) : seed(seed_), random_(seed_) {
    auto made = core::crypto::identity::make_development();
    certificate = *made;
    restart();
  }

  /// A new process behind the same address: knows no connection, has the same keys.
  void restart() {
    living_.clear();
    server = nullptr;
    peers.clear();
    server = std::make_unique<quic::endpoint>(
      std::uint8_t{7}, [now = settings] { return now; }, limits,
      [tls = server_tls()] { return tls; }, keys, *this);
  }

  core::crypto::tls_context server_tls() const {
    return *core::crypto::tls_context::make_server(
      {.certificate = certificate, .tickets = tickets, .alpn = {"oap/1"}});
  }
  /// The same for the same words: a ticket is good for the context that it came from.
  const core::crypto::tls_context& client_tls(const std::string& alpn, const std::string& pin) {
    auto& made = contexts_[{alpn, pin}];
    if (!made)
      made = *core::crypto::tls_context::make_client(
        {.pin = pin.empty() ? certificate->cert_sha256() : pin, .alpn = {alpn}});
    return *made;
  }

  client& dial(const std::string& alpn = "oap/1", const std::string& pin = {},
               const quic::resumption& from = {}) {
    auto& c = *clients.emplace_back(std::make_unique<client>());
    c.where = {quic::address::loopback(next_port_++), quic::address::loopback(443), 0};
    auto made = quic::connection::connect(settings, client_tls(alpn, pin), "localhost", c.where,
                                          c.ids, now, from);
    EXPECT_TRUE(made) << made.error().message;
    c.connection = std::move(*made);
    c.connection->set_events(c.peer);
    c.peer.connection = c.connection.get();
    return c;
  }

  /// Lets time pass until `done` or `within` is over; what `done` says.
  bool run(const std::function<bool()>& done, std::chrono::milliseconds within = 10s) {
    const auto end = now + within;
    while (true) {
      flush();
      if (done())
        return true;
      auto next = next_event();
      if (!next || *next > end) {
        now = end;
        return done();
      }
      now = std::max(now, *next);
      deliver();
      tick();
    }
  }
  void pass(std::chrono::milliseconds d) {
    run([] { return false; }, d);
  }
  bool open(client& c) {
    return run([&] {
      return c.connection->state() == quic::connection::phase::open && peer_of(0)
             && peer_of(0)->connection->state() == quic::connection::phase::open;
    });
  }
  quic_peer* peer_of(std::size_t i) { return i < peers.size() ? peers[i].get() : nullptr; }

  // -- endpoint_host -------------------------------------------------------------------
  void send(const quic::path& to, core::byte_view datagram) override {
    from_server += datagram.size();
    wire(false, {to.remote, to.local, 0}, datagram);
  }
  bool may_accept(const quic::address&) override { return accepts; }
  void accepted(quic::connection& c) override {
    auto& p = peers.emplace_back(std::make_unique<quic_peer>(echoes));
    p->connection = &c;
    c.set_events(*p);
    living_.push_back(&c);
  }
  void touched(quic::connection&) override {
    // nop: `flush` looks at all of them
  }

  /// A datagram of anybody to the server, now.
  void inject(const quic::path& from, core::byte_view datagram) {
    server->on_datagram({from.remote, from.local, 0}, datagram, now);
    flush();
  }

  const std::uint64_t seed;
  core::instant now{std::chrono::hours{1}};
  quic::connection_settings settings;
  quic::endpoint_limits limits;
  quic_weather weather;
  std::chrono::microseconds writing{0}; ///< what each burst takes to be written and sent
  std::function<bool(core::instant)> hole; ///< true: nothing gets through at that time
  bool accepts = true;
  bool echoes = true;
  std::uint64_t from_server = 0; ///< bytes that left it
  std::uint64_t to_server = 0;   ///< bytes that reached it
  std::uint8_t client_mark = 0;  ///< ECN of what was sent last
  std::uint8_t server_mark = 0;
  std::vector<std::pair<bool, std::vector<std::uint8_t>>> log; ///< (to the server, datagram)
  bool logs = false;
  std::shared_ptr<const core::crypto::identity> certificate;
  core::crypto::ticket_keys_ptr tickets = std::make_shared<core::crypto::ticket_keys>();
  quic::secrets_ptr keys = std::make_shared<quic::secrets>();
  std::unique_ptr<quic::endpoint> server;
  std::vector<std::unique_ptr<client>> clients;
  std::vector<std::unique_ptr<quic_peer>> peers; ///< ends of the server, in order of arrival

private:
  struct flight {
    bool to_server;
    quic::path path; ///< as the receiver sees it
    std::vector<std::uint8_t> bytes;
  };

  unsigned dice() { return static_cast<unsigned>(random_() % 1'000); }

  void wire(bool up, const quic::path& seen, core::byte_view datagram) {
    std::vector<std::uint8_t> bytes(datagram.begin(), datagram.end());
    if (logs)
      log.push_back({up, bytes});
    if ((hole && hole(now)) || dice() < weather.loss)
      return;
    if (dice() < weather.damage)
      bytes[random_() % bytes.size()] ^= static_cast<std::uint8_t>(1u << (random_() % 8));
    const int copies = dice() < weather.twice ? 2 : 1;
    for (int i = 0; i < copies; ++i) {
      auto late = weather.delay;
      if (weather.jitter.count() > 0)
        late += std::chrono::milliseconds{static_cast<std::int64_t>(
          random_() % static_cast<std::uint64_t>(weather.jitter.count()))};
      flying_.emplace(now + late, flight{up, seen, bytes});
    }
  }

  void produce(quic::connection& c, bool up, const std::optional<quic::address>& nat) {
    quic::path to;
    std::size_t segment = 0;
    while (auto n = c.produce(buffer_, now, to, segment)) {
      now += writing;
      (up ? client_mark : server_mark) = to.ecn;
      if (!up)
        from_server += n;
      for (std::size_t at = 0; at < n; at += segment) {
        const auto left = std::min(segment, n - at);
        wire(up, {to.remote, nat ? *nat : to.local, weather.bleach ? std::uint8_t{0} : to.ecn},
             core::byte_view{buffer_}.subspan(at, left));
      }
    }
  }

  void flush() {
    for (auto& c : clients)
      produce(*c->connection, true, c->nat);
    for (auto i = living_.begin(); i != living_.end();) {
      produce(**i, false, std::nullopt);
      if ((*i)->state() == quic::connection::phase::over) {
        for (auto& p : peers)
          if (p->connection == *i)
            p->connection = nullptr;
        server->forget(**i);
        i = living_.erase(i);
      } else {
        ++i;
      }
    }
  }

  std::optional<core::instant> next_event() const {
    std::optional<core::instant> first;
    auto take = [&](std::optional<core::instant> t) {
      if (t && (!first || *t < *first))
        first = t;
    };
    if (!flying_.empty())
      take(flying_.begin()->first);
    for (const auto& c : clients)
      take(c->connection->wake_at());
    for (auto* c : living_)
      take(c->wake_at());
    return first;
  }

  void deliver() {
    while (!flying_.empty() && flying_.begin()->first <= now) {
      auto f = std::move(flying_.begin()->second);
      flying_.erase(flying_.begin());
      if (f.to_server) {
        to_server += f.bytes.size();
        server->on_datagram(f.path, f.bytes, now);
        continue;
      }
      for (auto& c : clients) // by the port it is sent to
        if (f.path.local == (c->nat ? *c->nat : c->where.local))
          c->connection->on_datagram({c->where.local, f.path.remote, f.path.ecn}, f.bytes, now);
    }
  }

  void tick() {
    for (auto& c : clients)
      if (auto t = c->connection->wake_at(); t && *t <= now)
        c->connection->on_timer(now);
    for (auto* c : std::vector(living_))
      if (auto t = c->wake_at(); t && *t <= now)
        server->on_timer(*c, now);
  }

  std::map<std::pair<std::string, std::string>, std::optional<core::crypto::tls_context>> contexts_;
  std::mt19937_64 random_;
  std::multimap<core::instant, flight> flying_;
  std::vector<quic::connection*> living_;
  std::vector<std::uint8_t> buffer_ = std::vector<std::uint8_t>(quic::connection::burst_max);
  std::uint16_t next_port_ = 20'000;
};

} // namespace ron::test
