#pragma once

#include "core/actor/shards.hpp"
#include "core/clock.hpp"
#include "core/crypto/identity.hpp"
#include "core/json.hpp"
#include "core/metrics.hpp"
#include "load/flags.hpp"
#include "transport/listener.hpp"
#include "transport/oap_service.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <csignal>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

namespace ron::load {

/// The flags that every echo server has, with their defaults.
std::map<std::string, std::string, std::less<>> echo_server_flags();

/// The certificate in --cert and --key, or one made now.
core::crypto::identity_ptr identity_of(const flags& f);

/// What the echo servers have in common: the node's own shards and connection actors, and nothing
/// behind them but `ping`, `echo` and `source` (sends as many bytes as are asked for). Made first
/// in main(), before there are threads; SIGTERM and SIGINT end `serve`.
class echo_server {
public:
  /// --shards, --body. `max_streams`: of one connection; what strangers may do is not what is
  /// measured.
  explicit echo_server(const flags& f, std::uint32_t max_streams = 65'536);
  echo_server(const echo_server&) = delete;
  echo_server& operator=(const echo_server&) = delete;

  core::shards& shards() noexcept { return core::shards::of(system_); }
  core::clock& clock() noexcept { return clock_; }
  core::metrics::registry& registry() noexcept { return registry_; }
  const std::shared_ptr<transport::socket_metrics>& sockets() const noexcept { return sockets_; }
  const transport::oap_service_ptr& service() const noexcept { return service_; }
  /// Of a listener that lets everybody in.
  transport::listener_settings listener() const;

  /// Prints the first line, `{"ready":true,"pid":...}` and `what` there is to know.
  void announce(core::json what) const;
  /// Looks again and again until `condition` holds. False if a signal or the deadline was first.
  bool await(const std::function<bool()>& condition, core::instant deadline) const;
  /// Returns when a signal says so; prints the last line: processor time, memory, and what `more`
  /// has to tell by then.
  void serve(const std::function<core::json()>& more = {}) const;
  /// Ends all actors of a type, such as connections once nothing listens any more.
  static void end_all(std::string_view type);

private:
  sigset_t ends_;
  core::system_clock clock_;
  core::metrics::registry registry_;
  caf::actor_system_config config_;
  caf::actor_system system_;
  std::shared_ptr<transport::socket_metrics> sockets_;
  transport::oap_service_ptr service_;
};

} // namespace ron::load
