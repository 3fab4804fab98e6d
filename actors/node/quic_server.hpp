#pragma once

#include "node/servers.hpp"
#include "transport/oap_service.hpp"
#include "transport/quic/quic_listener.hpp"

namespace ron::node {

/// Opens the OAP/1 listener over QUIC at `oap.quic-address` and gives its connections to `service`.
/// `tls` is asked for every connection. Errors: those of `start_quic`.
core::result<quic_server>
start_quic_server(const server_parts& parts, const core::config::host_port& where,
                  tls_keeper_ptr tls, transport::oap_service_ptr service,
                  transport::connection_budget_ptr budget,
                  std::shared_ptr<transport::socket_metrics> sockets);

/// Takes the limits of `c`, and what `service` has of them, for connections from now on.
void reload_quic_server(const quic_server& running, const core::node_config& c,
                        transport::oap_service_ptr service);

} // namespace ron::node
