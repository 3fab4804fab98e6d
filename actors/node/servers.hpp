#pragma once

#include "core/actor/shards.hpp"
#include "core/clock.hpp"
#include "core/config.hpp"
#include "core/json_fwd.hpp"
#include "core/metrics.hpp"
#include "node/onion.hpp"
#include "node/readiness.hpp"
#include "node/start_failure.hpp"
#include "node/tls_keeper.hpp"
#include "transport/connection_budget.hpp"
#include "transport/handshake_line.hpp"
#include "transport/http/http_service.hpp"
#include "transport/listener.hpp"
#include "transport/oap_service.hpp"
#include "transport/operation.hpp"
#include "transport/quic/quic_listener.hpp"

#include <memory>
#include <string>
#include <vector>

namespace ron::node {

/// What all listeners share.
struct server_parts {
  core::shards* on = nullptr;
  core::node_config_ptr config;
  transport::gate* gate = nullptr;         ///< for everybody
  transport::gate* admin_gate = nullptr;   ///< for the admin listener
  const core::clock* clock = nullptr;
  core::metrics::registry* metrics = nullptr;
  std::vector<transport::operation> public_rows;
  std::vector<transport::operation> admin_rows;
};

/// What the TLS connections of one listener share.
struct tls_entry {
  tls_keeper_ptr keeper;
  tls_use use = tls_use::https;
  std::vector<transport::handshake_line_ptr> lines; ///< by shard
  std::shared_ptr<transport::socket_metrics> metrics;
};

/// The QUIC listener and what a reload changes of it.
struct quic_server {
  transport::quic::quic_listeners listeners;
  std::shared_ptr<transport::quic::hub_parts> parts;
};

class oap_watch;

/// The listeners of the node and the certificate they show.
class servers {
public:
  /// Loads or makes the certificate, binds every configured address. On failure nothing listens.
  static started<std::unique_ptr<servers>> start(server_parts parts);
  ~servers();

  /// Takes no more connections on the public addresses; the admin listener stays.
  void stop_accepting();
  /// Tells every open connection to finish what runs and end. The admin ones only when asked.
  void drain(bool admin_too);
  /// Ends the admin listener too.
  void stop_admin();
  /// Connections that are still open, without those of the admin listener.
  std::size_t open_connections() const;
  /// Ends what is left.
  void cut();

  /// `{"http","http_uds","https","oap_tls","oap_quic","oap_tor","admin"}` with the real ports; what
  /// is off is null.
  core::json endpoints() const;
  std::uint16_t admin_port() const noexcept { return admin_port_; }
  /// Of the certificate that is shown now. Any thread.
  std::string cert_sha256() const { return tls_->identity()->cert_sha256(); }
  /// Takes over limits, certificates and ticket keys from `c`; if anything is wrong, nothing.
  /// Error: that of `tls_keeper::load`. The main thread.
  core::result<void> reload(const core::node_config& c);
  /// What has to be done once a second. The monitor's shard.
  void every_second() { tls_->tick(); }
  double pressure() const noexcept;
  /// Looks at the listeners that have readiness keys and appends them. The monitor's shard.
  void add_keys(std::vector<readiness_key>& keys, core::instant now);

private:
  explicit servers(server_parts parts);
  transport::listener_settings public_settings(transport::entrance label) const;
  started<void> open_http(const std::optional<core::config::host_port>& where,
                          transport::wire via, const char* key);
  started<void> open_http_uds();
  const std::shared_ptr<transport::oap_service>& oap();
  started<void> open_oap();
  started<void> open_oap_tls();
  started<void> open_oap_quic();
  started<void> open_onion();
  started<void> open_admin();
  started<void> listen(const core::config::host_port& where, transport::entrance label,
                       const char* key, const transport::connection_factory& make);
  tls_entry tls(tls_use use) const { return {tls_, use, lines_, socket_metrics_}; }
  /// True if the connection was let in by the admin listener.
  bool is_admin(std::uint64_t listener) const;

  server_parts parts_;
  tls_keeper_ptr tls_;
  transport::connection_budget_ptr budget_;
  std::shared_ptr<transport::socket_metrics> socket_metrics_;
  std::vector<transport::handshake_line_ptr> lines_; ///< by shard, of all TLS listeners together
  std::unique_ptr<oap_watch> oap_watch_; ///< null without an OAP listener
  std::shared_ptr<transport::oap_service> oap_; ///< null until an OAP listener needs it
  std::unique_ptr<onion> onion_;         ///< null without an onion service
  std::shared_ptr<http::http_service> public_http_;
  std::shared_ptr<http::http_service> admin_http_;
  std::vector<transport::listeners> public_listeners_;
  std::optional<transport::listeners> admin_listeners_;
  std::optional<quic_server> quic_;
  std::string http_, http_uds_, https_, oap_tls_, oap_quic_, oap_tor_, admin_;
  std::uint16_t admin_port_ = 0;
};

} // namespace ron::node
