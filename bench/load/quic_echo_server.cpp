// OAP/1 over QUIC with the node's own listener, links, connections and stream actors, and nothing
// behind them but `ping`, `echo` and `source` (sends as many bytes as are asked for).

#include "load/echo_server.hpp"

#include "transport/quic/quic_listener.hpp"

#include <utility>
#include <vector>

namespace {

using namespace ron;
namespace quic = transport::quic;

constexpr std::string_view usage =
  "usage: quic_echo_server [--listen 127.0.0.1:0] [--shards 1] [--cert FILE --key FILE]\n"
  "                        [--streams 65536] [--congestion bbr|cubic] [--datagram 8952]\n"
  "                        [--key-bytes 0] [--body FILE]\n"
  "Serves OAP/1 over QUIC until SIGTERM. The first line on stdout says where and with which\n"
  "certificate, the last one how much processor time it took. --key-bytes: a connection changes\n"
  "its packet keys after it has sent so many bytes; 0: only when it must.\n"
  "  quic_echo_server --listen 127.0.0.1:8443 &\n"
  "  quic_echo_client --target 127.0.0.1:8443 --pin ... --streams 32 --payload 65536\n";

quic::open_connection opener(transport::oap_service_ptr service) {
  return [service = std::move(service)](core::shard& here, quic::quic_link_ptr link) {
    transport::open_oap_connection(
      here, service,
      [link = std::move(link)](boost::asio::io_context&, transport::link_owner owner) mutable {
        link->belong_to(owner);
        return transport::link_ptr{std::move(link)};
      });
  };
}

std::function<core::crypto::tls_context(std::size_t)>
contexts_of(std::size_t shards, const core::crypto::identity_ptr& identity) {
  core::crypto::tls_server_options o;
  o.certificate = identity;
  o.tickets = std::make_shared<core::crypto::ticket_keys>();
  o.alpn = {"oap/1"};
  std::vector<core::crypto::tls_context> made;
  for (std::size_t i = 0; i < shards; ++i)
    made.push_back(core::crypto::tls_context::make_server(o).value());
  return [made = std::move(made)](std::size_t shard) { return made[shard]; };
}

} // namespace

int main(int argc, char** argv) {
  auto known = load::echo_server_flags();
  known.merge(decltype(known){{"listen", "127.0.0.1:0"},
                              {"cert", ""},
                              {"key", ""},
                              {"streams", "65536"},
                              {"congestion", "bbr"},
                              {"datagram", "8952"},
                              {"key-bytes", "0"}});
  const load::flags f{argc, argv, std::move(known), usage};
  const auto where = f.address("listen");
  const auto identity = load::identity_of(f);
  const auto streams = static_cast<std::uint32_t>(f.number("streams", 64, 65'536));
  if (f.text("congestion") != "bbr" && f.text("congestion") != "cubic")
    f.refuse("--congestion: bbr or cubic");

  load::echo_server server{f, streams};
  auto parts = std::make_shared<quic::hub_parts>();
  quic::connection_offer offer;
  offer.connections.streams_max = streams;
  offer.connections.bbr = f.text("congestion") == "bbr";
  offer.connections.payload_max = f.number("datagram", 1'201, 65'527);
  offer.connections.key_bytes = f.number("key-bytes", 0, 1ull << 40);
  parts->limits.retry_from = 100'000; // a load generator's connections come all at once
  parts->limits.unfinished_max = 100'000;
  offer.frame_max = transport::oap_settings{}.session.max_frame;
  parts->tls = contexts_of(server.shards().size(), identity);
  parts->keys = std::make_shared<quic::secrets>();
  parts->budget = server.listener().budget;
  parts->sockets = server.sockets();
  parts->metrics = std::make_shared<quic::quic_metrics>(server.registry());
  parts->clock = &server.clock();
  offer.open = opener(server.service());
  parts->offer.set(std::move(offer));
  auto listening = quic::start_quic(server.shards(), {where.first, where.second}, 4u << 20, parts);
  if (!listening)
    f.refuse(listening.error().message);
  server.announce({{"listen", listening->address.to_string()},
                   {"cert_sha256", identity->cert_sha256()}});
  server.serve([&] {
    return core::json{{"packets_lost", parts->metrics->packets_lost.value()},
                      {"key_updates", parts->metrics->key_updates.value()}};
  });
  listening->stop(server.shards());
  load::echo_server::end_all("oap.connection");
  return 0;
}
