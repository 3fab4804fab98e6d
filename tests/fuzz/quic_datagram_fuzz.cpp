// Datagrams of strangers to a QUIC endpoint: each input is a row of them, every one behind a byte
// that says how long it is (in units of 8 bytes) and whether time passes first.
#include "core/crypto/identity.hpp"
#include "transport/quic/endpoint.hpp"

#include <cstdlib>
#include <set>
#include <vector>

namespace {

using namespace ron;
namespace quic = transport::quic;

class nobody final : public quic::stream_events {
public:
  void on_open() override { std::abort(); }
  void on_stream_data(quic::stream_id, core::byte_view, bool) override {
    std::abort(); // who has not shaken hands has no streams
  }
  void on_stream_reset(quic::stream_id, quic::app_code) override { std::abort(); }
  void on_stream_stopped(quic::stream_id, quic::app_code) override { std::abort(); }
  void on_stream_closed(quic::stream_id) override {
    // nop
  }
  void on_streams_allowed() override {
    // nop
  }
};

class host final : public quic::endpoint_host {
public:
  void send(const quic::path&, core::byte_view datagram) override { out += datagram.size(); }
  bool may_accept(const quic::address&) override { return true; }
  void accepted(quic::connection& c) override {
    c.set_events(events);
    living.insert(&c);
  }
  void touched(quic::connection&) override {
    // nop
  }

  nobody events;
  std::set<quic::connection*> living;
  std::size_t out = 0;
};

core::crypto::tls_context tls() {
  core::crypto::tls_server_options o;
  o.certificate = core::crypto::identity::make_development().value();
  o.tickets = std::make_shared<core::crypto::ticket_keys>();
  o.alpn = {"oap/1"};
  return core::crypto::tls_context::make_server(o).value();
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto context = tls();
  static const auto keys = std::make_shared<quic::secrets>();
  host h;
  quic::endpoint_limits limits;
  limits.unfinished_max = 8;
  limits.retry_from = 4;
  quic::endpoint server{
    1, [] { return quic::connection_settings{}; }, limits, [&] { return context; }, keys, h};
  const quic::path from{quic::address::loopback(443), quic::address::loopback(4'000)};
  core::instant now{std::chrono::hours{1}};
  std::vector<std::uint8_t> buffer(quic::connection::burst_max);
  std::size_t in = 0;
  for (std::size_t at = 0; at < size;) {
    const std::uint8_t head = data[at++];
    if ((head & 0x80) != 0)
      now += std::chrono::milliseconds{400};
    const auto n = std::min<std::size_t>(std::size_t{head & 0x7fu} * 16, size - at);
    // A first packet counts only when it is long enough.
    std::vector<std::uint8_t> datagram(data + at, data + at + n);
    if ((head & 1) != 0)
      datagram.resize(1'200);
    at += n;
    in += datagram.size();
    server.on_datagram(from, datagram, now);
    for (auto i = h.living.begin(); i != h.living.end();) {
      auto& c = **i;
      if (auto due = c.wake_at(); due && *due <= now)
        server.on_timer(c, now);
      quic::path to;
      std::size_t segment = 0;
      while (const auto made = c.produce(buffer, now, to, segment))
        h.out += made;
      if (c.state() == quic::connection::phase::over) {
        server.forget(c);
        i = h.living.erase(i);
      } else {
        ++i;
      }
    }
    if (server.unfinished() > limits.unfinished_max || h.out > 3 * in)
      std::abort(); // more than a stranger may cost
  }
  return 0;
}
