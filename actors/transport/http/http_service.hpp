#pragma once

#include "core/clock.hpp"
#include "core/limits.hpp"
#include "core/live.hpp"
#include "transport/http/connection_machine.hpp"
#include "transport/inflate.hpp"
#include "transport/link.hpp"
#include "transport/operation.hpp"
#include "transport/request_metrics.hpp"

#include <caf/fwd.hpp>

#include <chrono>
#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
} // namespace boost::asio

namespace ron::core {
class shard;
} // namespace ron::core

namespace ron::http {

/// Everything an operator may change about HTTP; a connection keeps what it began with.
struct http_settings {
  connection_limits connection;
  transport::inflate_limits inflate; ///< `body_max` is set from `json_bytes_max`
  std::size_t json_bytes_max = core::limits::json_body_bytes_max;
  std::chrono::milliseconds wait_max{35'000};      ///< of a long poll; routes have their own below
  std::chrono::milliseconds upload_max{3'600'000}; ///< of a whole object body
};

struct http_metrics {
  explicit http_metrics(core::metrics::registry& r)
    : requests{r}, connections{r, "http_connections", "Open HTTP connections"} {
    // nop
  }
  transport::request_metrics requests;
  core::metrics::updown<> connections;
};

/// What all connections of one listener share: which operations there are and who may call them.
/// Outlives its connections (they hold it). Any thread.
class http_service {
public:
  /// `gate` and `clock` outlive the actor system.
  http_service(transport::operation_table operations, transport::gate& gate,
               const core::clock& clock, core::metrics::registry& registry,
               const http_settings& settings);

  const transport::operation_table& operations() const noexcept { return operations_; }
  transport::gate& gate() const noexcept { return gate_; }
  const core::clock& clock() const noexcept { return clock_; }
  http_metrics& metrics() const noexcept { return metrics_; }

  std::shared_ptr<const http_settings> settings() const noexcept { return settings_.get(); }
  /// For connections opened from now on.
  void settings(const http_settings& s) { settings_.set(s); }

private:
  transport::operation_table operations_;
  transport::gate& gate_;
  const core::clock& clock_;
  mutable http_metrics metrics_;
  core::live<http_settings> settings_;
};

using http_service_ptr = std::shared_ptr<const http_service>;

/// Makes the link of a new connection on its shard, e.g. by `make_tcp_link` or `make_tls_link`.
/// Called once and kept until the connection has ended, so what it has captured (the connection's
/// place in a budget) lives as long. Never null; what it throws ends the connection.
using link_factory
  = std::move_only_function<transport::link_ptr(boost::asio::io_context&, transport::link_owner)>;

/// Spawns the actor of one accepted connection on `where`; what a listener calls. It serves until
/// the peer leaves, a deadline passes or it is told `atom::drain` (finish what runs, then end).
/// Any thread.
caf::actor open_http_connection(core::shard& where, http_service_ptr service, transport::wire via,
                                link_factory make_link);

} // namespace ron::http
