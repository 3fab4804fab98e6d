#pragma once

#include "core/actor/shard.hpp"
#include "core/clock.hpp"
#include "core/live.hpp"
#include "oap/session.hpp"
#include "transport/inflate.hpp"
#include "transport/link.hpp"
#include "transport/metrics.hpp"
#include "transport/oap_line.hpp"
#include "transport/operation.hpp"
#include "transport/request_metrics.hpp"

#include <caf/fwd.hpp>

#include <chrono>
#include <functional>
#include <memory>

namespace boost::asio {
class io_context;
} // namespace boost::asio

namespace ron::transport {

/// Everything an operator may change about OAP/1 connections; one keeps what it began with, as its
/// peer was told of it in HELLO.
struct oap_settings {
  oap::session_settings session;
  oap_line_limits line;                             ///< of the connection itself
  inflate_limits inflate;                           ///< of COMP; `body_max` is not used
  std::chrono::milliseconds body_timeout{10'000};   ///< between two pieces of a request body
  std::chrono::milliseconds request_timeout{5'000}; ///< to the first byte of an answer
  std::chrono::milliseconds wait_max{35'000};       ///< of a long poll
  std::chrono::milliseconds stall_timeout{60'000};  ///< to take any of an answer
  std::chrono::milliseconds starved_after{1'000};   ///< an answer that waits this long starves
  std::chrono::milliseconds slot_idle{10'000};      ///< a stream actor without a stream ends
};

using oap_settings_ptr = std::shared_ptr<const oap_settings>;

/// What all OAP connections of one listener share. Outlives them (they hold it). Any thread.
class oap_service {
public:
  /// `gate`, `clock` and `registry` outlive the actor system.
  oap_service(operation_table operations, transport::gate& gate, const core::clock& clock,
              core::metrics::registry& registry, oap_settings settings)
      : operations_(std::move(operations)), gate_(gate), clock_(clock), wire_(registry),
        requests_(registry), settings_(std::move(settings)) {
    // nop
  }

  const operation_table& operations() const noexcept {
    return operations_;
  }
  transport::gate& gate() const noexcept {
    return gate_;
  }
  const core::clock& clock() const noexcept {
    return clock_;
  }
  oap_metrics& wire() const noexcept {
    return wire_;
  }
  request_metrics& requests() const noexcept {
    return requests_;
  }
  oap_settings_ptr settings() const noexcept {
    return settings_.get();
  }
  /// For connections opened from now on.
  void settings(oap_settings s) {
    settings_.set(std::move(s));
  }

private:
  operation_table operations_;
  transport::gate& gate_;
  const core::clock& clock_;
  mutable oap_metrics wire_;
  mutable request_metrics requests_;
  core::live<oap_settings> settings_;
};

using oap_service_ptr = std::shared_ptr<const oap_service>;

/// Makes the link of a new connection on its shard.
using oap_link_factory = std::move_only_function<link_ptr(boost::asio::io_context&, link_owner)>;

/// Spawns the actor of one accepted connection on `where`. It serves until the peer leaves, breaks
/// the protocol, is idle for too long or the actor is told `atom::drain`. `via` is what its
/// requests say they came on. `settings` are the service's present ones unless its link was made by
/// earlier ones. Any thread.
caf::actor open_oap_connection(core::shard& where, oap_service_ptr service,
                               oap_link_factory make_link, wire via = wire::oap_tls,
                               oap_settings_ptr settings = nullptr);

/// The operations of the wire itself: `ping` answers at once, `echo` sends back each DATA as it
/// comes. Neither needs a capability nor passes the rate limiter.
std::vector<operation> wire_operations();

} // namespace ron::transport
