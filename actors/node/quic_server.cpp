#include "node/quic_server.hpp"

#include <algorithm>
#include <utility>

namespace ron::node {

namespace quic = transport::quic;

namespace {

quic::connection_settings connection_settings_of(const core::node_config& c) {
  quic::connection_settings s;
  s.streams_max = c.transport.quic_streams_max;
  s.window_max = std::max<std::size_t>(s.window, c.oap.receive_budget);
  s.idle_timeout = 2 * c.transport.idle_timeout; // OAP/1 ends idle connections in good order first
  s.handshake_timeout = c.transport.handshake_timeout;
  s.early_data = !c.transport.quic_0rtt.empty();
  return s;
}

/// A connection's HELLO says what its frames were read by since its first packet.
quic::open_connection opener(transport::oap_service_ptr service) {
  return [service, settings = service->settings()](core::shard& here, quic::quic_link_ptr link) {
    transport::open_oap_connection(
      here, service,
      [link = std::move(link)](boost::asio::io_context&, transport::link_owner owner) mutable {
        link->belong_to(owner);
        return transport::link_ptr{std::move(link)};
      },
      transport::wire::oap_quic, settings);
  };
}

quic::connection_offer offer_of(const core::node_config& c, transport::oap_service_ptr service) {
  quic::connection_offer o;
  o.connections = connection_settings_of(c);
  o.frame_max = c.oap.max_frame;
  o.frame_timeout = c.transport.read_timeout;
  o.open = opener(std::move(service));
  return o;
}

} // namespace

core::result<quic_server>
start_quic_server(const server_parts& parts, const core::config::host_port& where,
                  tls_keeper_ptr tls, transport::oap_service_ptr service,
                  transport::connection_budget_ptr budget,
                  std::shared_ptr<transport::socket_metrics> sockets) {
  const auto& c = *parts.config;
  auto p = std::make_shared<quic::hub_parts>();
  p->offer.set(offer_of(c, std::move(service)));
  p->early_operations = std::make_shared<const std::vector<std::string>>(c.transport.quic_0rtt);
  p->tls = [tls = std::move(tls)](std::size_t shard) { return tls->context(tls_use::oap, shard); };
  p->keys = std::make_shared<quic::secrets>();
  p->budget = std::move(budget);
  p->sockets = std::move(sockets);
  p->metrics = std::make_shared<quic::quic_metrics>(*parts.metrics);
  p->clock = parts.clock;
  auto opened = quic::start_quic(*parts.on, where, c.transport.udp_buffer, p);
  if (!opened)
    return std::unexpected{opened.error()};
  return quic_server{std::move(*opened), std::move(p)};
}

void reload_quic_server(const quic_server& running, const core::node_config& c,
                        transport::oap_service_ptr service) {
  running.parts->offer.set(offer_of(c, std::move(service)));
}

} // namespace ron::node
