#include "transport/http/http_service.hpp"

#include "transport/http/http_connection.hpp"

#include <utility>

namespace ron::http {

http_service::http_service(transport::operation_table operations, transport::gate& gate,
                           const core::clock& clock, core::metrics::registry& registry,
                           const http_settings& settings)
  : operations_(std::move(operations)),
    gate_(gate),
    clock_(clock),
    metrics_(registry),
    settings_(settings) {
  // nop
}

caf::actor open_http_connection(core::shard& where, http_service_ptr service, transport::wire via,
                                link_factory make_link) {
  return core::spawn_on(where, {}, make_http_connection, std::move(service), via,
                        std::move(make_link));
}

} // namespace ron::http
