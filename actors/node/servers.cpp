#include "node/servers.hpp"

#include "core/actor/directory.hpp"
#include "core/crypto/tls_session.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"
#include "node/oap_watch.hpp"
#include "node/quic_server.hpp"
#include "transport/tcp/tcp_link.hpp"
#include "transport/tls/tls_link.hpp"

#include <unistd.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace ron::node {

using core::config::host_port;
using transport::accepted;
using transport::entrance;
using transport::wire;

namespace {

/// Connections by type of actor; what a drain speaks to.
bool is_connection(const core::actor_record& r) {
  const std::string_view type = r.type;
  return type == "http.connection" || type == "oap.connection";
}

int exit_code_of(core::ec code) {
  return code == core::ec::internal ? exit_internal : exit_unavailable;
}

/// A link that holds its place in the connection budget and in the gauge for as long as it lives,
/// and counts its bytes when it goes.
struct held_link {
  held_link(transport::link_ptr l, transport::connection_slot s, entrance e,
            std::shared_ptr<transport::socket_metrics> m)
      : link(std::move(l)), slot(std::move(s)), label(e), metrics(std::move(m)) {
    metrics->connections.add(label);
  }
  held_link(const held_link&) = delete;
  held_link& operator=(const held_link&) = delete;
  ~held_link() {
    metrics->connections.sub(label);
    metrics->bytes.add_n(link->bytes_in(), transport::direction::in);
    metrics->bytes.add_n(link->bytes_out(), transport::direction::out);
  }

  transport::link_ptr link;
  transport::connection_slot slot;
  entrance label;
  std::shared_ptr<transport::socket_metrics> metrics;
};

transport::link_ptr holding(transport::link_ptr link, transport::connection_slot slot,
                            entrance label,
                            const std::shared_ptr<transport::socket_metrics>& metrics) {
  auto all = std::make_shared<held_link>(std::move(link), std::move(slot), label, metrics);
  all->link->when_settled([where = &all->slot] { where->settle(); });
  return {all, all->link.get()};
}

http::http_settings http_settings_of(const core::node_config& c) {
  http::http_settings s;
  s.connection.head.bytes_max = c.http.header_bytes_max;
  s.connection.header_timeout = c.http.header_timeout;
  s.connection.idle_timeout = c.transport.idle_timeout;
  s.connection.answer_timeout = c.omnigate.request_timeout;
  s.connection.body_rate_min = c.http.body_rate_min;
  s.connection.answer_rate_min = c.http.answer_rate_min;
  s.inflate.ratio_max = c.inflate.ratio_max;
  s.inflate.bytes_max = c.inflate.bytes_max;
  s.json_bytes_max = c.omnigate.body_bytes_max;
  return s;
}

transport::connection_limits connection_limits_of(const core::node_config& c) {
  return {c.transport.connections_max, c.transport.per_peer_max, c.transport.transient_max};
}

/// A sixteenth of the descriptors, 8 to 64, is not for public connections: whoever debugs a node
/// that has none left must get in, and stores and helpers open files.
int public_descriptors_end() {
  constexpr std::uint64_t least = 8;
  constexpr std::uint64_t most = 64;
  static const auto all = core::raise_descriptor_limit();
  const auto kept = std::clamp(all / 16, least, most);
  return static_cast<int>(
    std::min<std::uint64_t>(all - std::min(all, kept), std::numeric_limits<int>::max()));
}

transport::socket_options socket_options_of(const core::node_config& c) {
  transport::socket_options o;
  o.nodelay = c.transport.nodelay;
  o.buffer_bytes = c.transport.tcp_buffer;
  return o;
}

/// Makes plain HTTP connections.
transport::connection_factory http_factory(http::http_service_ptr service,
                                           std::shared_ptr<transport::socket_metrics> metrics) {
  return
    [service = std::move(service), metrics = std::move(metrics)](caf::local_actor*, accepted a) {
      http::open_http_connection(
        *core::shard::current(), service, wire::http,
        [a = std::move(a), metrics](boost::asio::io_context& io,
                                    transport::link_owner owner) mutable {
          return holding(transport::make_tcp_link(io, std::move(a.fd), a.peer.text, owner),
                         std::move(a.slot), a.label, metrics);
        });
    };
}

/// Hands `open(shard, link factory)` a TLS link of each accepted socket.
template <class Open>
transport::connection_factory tls_factory(tls_entry entry, Open open) {
  return [entry = std::move(entry), open = std::move(open)](caf::local_actor*, accepted a) {
    auto& here = *core::shard::current();
    const auto context = entry.keeper->context(entry.use, here.index());
    auto session = core::crypto::tls_session::accept(context);
    if (!session) {
      core::log::warn("node", "no TLS session for a connection",
                      {{"reason", session.error().message}});
      return;
    }
    open(here, [a = std::move(a), s = std::move(*session), line = entry.lines[here.index()],
                metrics = entry.metrics](boost::asio::io_context& io,
                                         transport::link_owner owner) mutable {
      return holding(transport::make_tls_link(io, std::move(a.fd), a.peer.text, std::move(s), owner,
                                              std::move(line)),
                     std::move(a.slot), a.label, metrics);
    });
  };
}

transport::connection_factory https_factory(http::http_service_ptr service, tls_entry entry) {
  return tls_factory(std::move(entry),
                     [service = std::move(service)](core::shard& here, auto make_link) {
                       http::open_http_connection(here, service, wire::https, std::move(make_link));
                     });
}

transport::oap_settings oap_settings_of(const core::node_config& c) {
  transport::oap_settings s;
  s.session.max_frame = c.oap.max_frame;
  s.session.max_streams = c.oap.max_streams;
  s.session.ack_window = c.oap.ack_window;
  s.session.max_inflight = c.oap.max_inflight;
  s.session.receive_budget = c.oap.receive_budget;
  s.session.write_coalesce = c.transport.write_coalesce;
  s.session.ua = "ron-node";
  s.session.features = {"x1"};
  if (c.oap.compression)
    s.session.features.emplace_back("zstd");
  s.inflate.ratio_max = c.inflate.ratio_max;
  s.inflate.bytes_max = c.inflate.bytes_max;
  s.session.transports = {"tcp+tls"};
  if (c.oap.quic_address)
    s.session.transports.emplace_back("quic");
  s.line.handshake_timeout = c.transport.handshake_timeout;
  s.line.read_timeout = c.transport.read_timeout;
  s.line.answer_rate_min = c.oap.answer_rate_min;
  s.line.write_timeout = c.transport.write_timeout;
  s.line.idle_timeout = c.transport.idle_timeout;
  s.stall_timeout = c.transport.idle_timeout;
  s.starved_after = c.oap.starved_after;
  s.request_timeout = c.omnigate.request_timeout;
  return s;
}

transport::connection_factory oap_factory(transport::oap_service_ptr service, tls_entry entry) {
  return tls_factory(std::move(entry),
                     [service = std::move(service)](core::shard& here, auto make_link) {
                       transport::open_oap_connection(here, service, std::move(make_link));
                     });
}

/// Makes OAP connections that came through the onion service: Tor encrypts up to here, and the
/// onion address says who we are.
transport::connection_factory onion_factory(transport::oap_service_ptr service,
                                            std::shared_ptr<transport::socket_metrics> metrics) {
  return
    [service = std::move(service), metrics = std::move(metrics)](caf::local_actor*, accepted a) {
      transport::open_oap_connection(
        *core::shard::current(), service,
        [a = std::move(a), metrics](boost::asio::io_context& io,
                                    transport::link_owner owner) mutable {
          return holding(transport::make_tcp_link(io, std::move(a.fd), a.peer.text, owner,
                                                  transport::first_word::peer),
                         std::move(a.slot), a.label, metrics);
        },
        wire::oap_tor);
    };
}

} // namespace

servers::servers(server_parts parts) : parts_(std::move(parts)) {
  // nop
}

servers::~servers() = default;

started<std::unique_ptr<servers>> servers::start(server_parts parts) {
  std::unique_ptr<servers> s{new servers(std::move(parts))};
  const auto& c = *s->parts_.config;
  s->budget_ = std::make_shared<transport::connection_budget>(connection_limits_of(c));
  s->socket_metrics_ = std::make_shared<transport::socket_metrics>(*s->parts_.metrics);
  transport::set_read_buffer(c.transport.read_buffer);
  s->tls_ =
    std::make_shared<tls_keeper>(s->parts_.on->size(), *s->parts_.metrics, *s->parts_.clock);
  if (auto ok = s->tls_->load(c.transport); !ok)
    return cannot_start(exit_configuration, ok.error().message);
  for (std::size_t i = 0; i < s->parts_.on->size(); ++i)
    s->lines_.push_back(std::make_shared<transport::handshake_line>(
      s->parts_.on->at(i), c.transport.accept_permits, s->parts_.on->size(), s->socket_metrics_,
      *s->parts_.clock));
  if (wants_onion(c)) {
    s->onion_ = std::make_unique<onion>(*s->parts_.metrics);
    s->parts_.admin_rows.push_back(s->onion_->admin_row());
  }
  s->public_http_ = std::make_shared<http::http_service>(
    transport::operation_table{s->parts_.public_rows}, *s->parts_.gate, *s->parts_.clock,
    *s->parts_.metrics, http_settings_of(c));
  s->admin_http_ = std::make_shared<http::http_service>(
    transport::operation_table{s->parts_.admin_rows}, *s->parts_.admin_gate, *s->parts_.clock,
    *s->parts_.metrics, http_settings_of(c));
  auto ok = s->open_admin();
  if (ok)
    ok = s->open_http(c.http.address, wire::http, "http.address");
  if (ok)
    ok = s->open_http(c.http.tls_address, wire::https, "http.tls-address");
  if (ok)
    ok = s->open_http_uds();
  if (ok)
    ok = s->open_oap();
  if (ok)
    ok = s->open_onion();
  if (!ok)
    return std::unexpected{ok.error()};
  return s;
}

core::result<void> servers::reload(const core::node_config& c) {
  if (auto ok = tls_->load(c.transport); !ok)
    return ok;
  budget_->set_limits(connection_limits_of(c));
  for (auto& line : lines_)
    line->set_permits(c.transport.accept_permits, lines_.size());
  public_http_->settings(http_settings_of(c));
  admin_http_->settings(http_settings_of(c));
  if (oap_)
    oap_->settings(oap_settings_of(c));
  if (quic_)
    reload_quic_server(*quic_, c, oap_);
  return {};
}

transport::listener_settings servers::public_settings(entrance label) const {
  transport::listener_settings s;
  s.label = label;
  s.budget = budget_;
  s.metrics = socket_metrics_;
  s.descriptors_end = public_descriptors_end();
  return s;
}

started<void> servers::listen(const host_port& where, entrance label, const char* key,
                              const transport::connection_factory& make) {
  auto opened = transport::start_listeners(*parts_.on, where, socket_options_of(*parts_.config),
                                           public_settings(label), make);
  if (!opened)
    return cannot_start(exit_code_of(opened.error().code),
                        std::string{key} + ": " + opened.error().message);
  public_listeners_.push_back(std::move(*opened));
  return {};
}

started<void> servers::open_http(const std::optional<host_port>& where, wire via, const char* key) {
  if (!where)
    return {};
  const bool secure = via == wire::https;
  auto make = secure ? https_factory(public_http_, tls(tls_use::https))
                     : http_factory(public_http_, socket_metrics_);
  if (auto ok = listen(*where, secure ? entrance::https : entrance::http, key, make); !ok)
    return ok;
  (secure ? https_ : http_) = public_listeners_.back().address.to_string();
  return {};
}

started<void> servers::open_http_uds() {
  const auto& c = parts_.config->http;
  if (c.uds.empty())
    return {};
  auto failed = [](const core::error& e) {
    return cannot_start(exit_code_of(e.code), "http.uds: " + e.message);
  };
  if (auto ok = transport::own_folder_of(c.uds); !ok)
    return failed(ok.error());
  auto fd = transport::listen_unix(c.uds);
  if (!fd)
    return failed(fd.error());
  auto settings = public_settings(entrance::http);
  settings.users = c.uds_peers;
  public_listeners_.push_back(
    {{}, {transport::start_listener(*parts_.on, std::move(*fd), settings,
                                    http_factory(public_http_, socket_metrics_))}});
  http_uds_ = c.uds;
  return {};
}

const std::shared_ptr<transport::oap_service>& servers::oap() {
  if (!oap_) {
    auto rows = parts_.public_rows;
    for (auto& row : transport::wire_operations())
      rows.push_back(std::move(row));
    oap_ = std::make_shared<transport::oap_service>(transport::operation_table{std::move(rows)},
                                                    *parts_.gate, *parts_.clock, *parts_.metrics,
                                                    oap_settings_of(*parts_.config));
    oap_watch_ =
      std::make_unique<oap_watch>(oap_, health_limits_of(parts_.config->oap), *parts_.metrics);
  }
  return oap_;
}

started<void> servers::open_oap() {
  if (auto ok = open_oap_tls(); !ok)
    return ok;
  return open_oap_quic();
}

started<void> servers::open_oap_tls() {
  const auto& where = parts_.config->oap.tls_address;
  if (!where)
    return {};
  if (auto ok =
        listen(*where, entrance::oap_tls, "oap.tls-address", oap_factory(oap(), tls(tls_use::oap)));
      !ok)
    return ok;
  oap_tls_ = public_listeners_.back().address.to_string();
  return {};
}

started<void> servers::open_oap_quic() {
  const auto& where = parts_.config->oap.quic_address;
  if (!where)
    return {};
  auto opened = start_quic_server(parts_, *where, tls_, oap(), budget_, socket_metrics_);
  if (!opened)
    return cannot_start(exit_code_of(opened.error().code),
                        "oap.quic-address: " + opened.error().message);
  quic_ = std::move(*opened);
  oap_quic_ = quic_->listeners.address.to_string();
  return {};
}

started<void> servers::open_onion() {
  if (!onion_)
    return {};
  const auto& c = *parts_.config;
  transport::listener_settings s;
  s.label = entrance::oap_tor;
  s.budget = budget_;
  s.metrics = socket_metrics_;
  s.descriptors_end = public_descriptors_end();
  s.all_peers = onion::peers();
  const auto make = onion_factory(oap(), socket_metrics_);
  if (c.tor.uds.empty()) {
    auto opened =
      transport::start_listeners(*parts_.on, c.tor.listen, socket_options_of(c), s, make);
    if (!opened)
      return cannot_start(exit_code_of(opened.error().code),
                          "tor.listen: " + opened.error().message);
    oap_tor_ = opened->address.to_string();
    public_listeners_.push_back(std::move(*opened));
  } else {
    auto fd = transport::listen_unix(c.tor.uds);
    if (!fd)
      return cannot_start(exit_code_of(fd.error().code), "tor.uds: " + fd.error().message);
    oap_tor_ = "unix:" + c.tor.uds;
    public_listeners_.push_back(
      {{}, {transport::start_listener(*parts_.on, std::move(*fd), s, make)}});
  }
  return onion_->publish(*parts_.on, c, oap_tor_, *parts_.clock);
}

started<void> servers::open_admin() {
  transport::listener_settings s;
  s.label = entrance::http;
  s.metrics = socket_metrics_;
  // A budget of its own: whoever debugs a full node must get in.
  constexpr std::uint32_t admin_connections_max = 64;
  s.budget = std::make_shared<transport::connection_budget>(transport::connection_limits{
    admin_connections_max, admin_connections_max, admin_connections_max});
  auto opened = transport::start_listeners(*parts_.on, parts_.config->admin.address,
                                           socket_options_of(*parts_.config), s,
                                           http_factory(admin_http_, socket_metrics_));
  if (!opened)
    return cannot_start(exit_code_of(opened.error().code),
                        "admin.address: " + opened.error().message);
  admin_listeners_ = std::move(*opened);
  admin_ = admin_listeners_->address.to_string();
  admin_port_ = admin_listeners_->address.port;
  return {};
}

void servers::stop_accepting() {
  if (onion_)
    onion_->stop();
  for (const auto& l : public_listeners_)
    l.stop();
  if (!http_uds_.empty())
    ::unlink(http_uds_.c_str());
  if (quic_)
    quic_->listeners.stop(*parts_.on);
}

void servers::stop_admin() {
  admin_listeners_->stop();
  drain(true);
}

void servers::drain(bool admin_too) {
  auto& all = core::directory::instance();
  for (const auto& r : all.snapshot(is_connection))
    if (admin_too || !is_admin(r.parent))
      if (auto who = all.find(r.id))
        caf::anon_send(caf::actor_cast<caf::actor>(who), atom::drain_v);
}

void servers::cut() {
  auto& all = core::directory::instance();
  for (const auto& r : all.snapshot(is_connection))
    if (!is_admin(r.parent))
      if (auto who = all.find(r.id))
        caf::anon_send_exit(caf::actor_cast<caf::actor>(who), caf::exit_reason::user_shutdown);
}

std::size_t servers::open_connections() const {
  const auto all = core::directory::instance().snapshot(is_connection);
  return static_cast<std::size_t>(
    std::ranges::count_if(all, [this](const auto& r) { return !is_admin(r.parent); }));
}

bool servers::is_admin(std::uint64_t listener) const {
  return std::ranges::any_of(admin_listeners_->actors,
                             [listener](const auto& a) { return a.id() == listener; });
}

core::json servers::endpoints() const {
  auto shown = [](const std::string& address) {
    return address.empty() ? core::json(nullptr) : core::json(address);
  };
  return {{"http", shown(http_)},       {"http_uds", shown(http_uds_)},
          {"https", shown(https_)},
          {"oap_tls", shown(oap_tls_)}, {"oap_quic", shown(oap_quic_)},
          {"oap_tor", shown(oap_tor_)}, {"admin", shown(admin_)}};
}

void servers::add_keys(std::vector<readiness_key>& keys, core::instant now) {
  if (oap_watch_)
    oap_watch_->look(keys, now);
  if (onion_)
    onion_->add_keys(keys);
}

double servers::pressure() const noexcept {
  const auto max = budget_->connections_max();
  return max == 0 ? 0.0 : static_cast<double>(budget_->connections()) / max;
}

} // namespace ron::node
