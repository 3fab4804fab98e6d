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

quic::open_connection opener(transport::oap_service_ptr service) {
  return [service = std::move(service)](core::shard& here, quic::quic_link_ptr link) {
    transport::open_oap_connection(
      here, service,
      [link = std::move(link)](boost::asio::io_context&, transport::link_owner owner) mutable {
        link->belong_to(owner);
        return transport::link_ptr{std::move(link)};
      },
      transport::wire::oap_quic);
  };
}

} // namespace

core::result<quic::quic_listeners>
start_quic_server(const server_parts& parts, const core::config::host_port& where,
                  tls_keeper_ptr tls, transport::oap_service_ptr service,
                  transport::connection_budget_ptr budget,
                  std::shared_ptr<transport::socket_metrics> sockets) {
  const auto& c = *parts.config;
  auto p = std::make_shared<quic::hub_parts>();
  p->connections = connection_settings_of(c);
  p->frame_max = c.oap.max_frame;
  p->early_operations = std::make_shared<const std::vector<std::string>>(c.transport.quic_0rtt);
  p->frame_timeout = c.transport.read_timeout;
  p->tls = [tls = std::move(tls)](std::size_t shard) { return tls->context(tls_use::oap, shard); };
  p->keys = std::make_shared<quic::secrets>();
  p->budget = std::move(budget);
  p->sockets = std::move(sockets);
  p->metrics = std::make_shared<quic::quic_metrics>(*parts.metrics);
  p->clock = parts.clock;
  p->open = opener(std::move(service));
  return quic::start_quic(*parts.on, where, c.transport.udp_buffer, std::move(p));
}

} // namespace ron::node
