#include "node/node.hpp"

#include "core/actor/directory.hpp"
#include "core/actor/mailbox_bounds.hpp"
#include "core/actor/shards.hpp"
#include "core/actor/shutdown.hpp"
#include "core/base64.hpp"
#include "core/crypto/secure_wipe.hpp"
#include "core/hash.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "core/metrics.hpp"
#include "inspect/actors.hpp"
#include "node/memory_watch.hpp"
#include "node/monitor.hpp"
#include "node/operations.hpp"
#include "node/operator_socket.hpp"
#include "node/reload.hpp"
#include "node/roles.hpp"
#include "node/root_key.hpp"
#include "node/servers.hpp"
#include "node/signals.hpp"
#include "omnigate/gate.hpp"

#include <unistd.h>

#include <atomic>
#include <cstdio>

namespace ron::node {

namespace {

using std::chrono::milliseconds;

constexpr std::chrono::hours token_life{1};
/// What a node asks its peers for.
constexpr std::string_view peer_operations = "o.peer,o.keep,o.replica,o.release,o.get";
/// Values of the label `type` of actors_alive; every actor of the program is one of these.
const std::vector<std::string> actor_types{"core.semaphore", "core.supervisor",   "http.connection",
                                           "index",          "mailbox",           "node.monitor",
                                           "node.operator",  "oap.connection",    "oap.stream",
                                           "storage",        "transport.listener",
                                           "transport.onion"};

constexpr milliseconds step_poll{5};        ///< how often a running stop is looked at
constexpr milliseconds actors_grace{5'000}; ///< to end actors that have nothing to finish
constexpr milliseconds ready_grace{10'000}; ///< for roles to come up

omnigate::gate_limits gate_limits_of(const core::node_config& c) {
  omnigate::gate_limits l;
  l.inflight_max = c.omnigate.inflight_max;
  l.waiters_max = c.omnigate.waiters_max;
  l.instance = {c.omnigate.rate, c.omnigate.burst};
  l.tenant = {c.omnigate.rate_tenant, 2 * c.omnigate.rate_tenant};
  l.address = {c.omnigate.rate_address, 2 * c.omnigate.rate_address};
  l.public_read = c.omnigate.public_read;
  return l;
}

double count_actors(std::string_view type) {
  std::size_t n = 0;
  core::directory::instance().snapshot([&](const core::actor_record& r) {
    n += type == r.type;
    return false; // counted, not copied
  });
  return static_cast<double>(n);
}

/// Everything that lives as long as the node, in the order in which it is built.
class running_node {
public:
  explicit running_node(const core::config::command& command)
      : config_(command.config), recipe_(command.recipe), process_(registry_), chunks_(registry_),
        memory_(registry_, config_->node.memory_max),
        state_(std::make_shared<status>(clock_)),
        capability_(std::make_shared<omnigate::operator_capability>()),
        gate_(gate_limits_of(*config_), capability_, clock_),
        admin_gate_({.instance = {}, .tenant = {}, .address = {}}, capability_, clock_),
        reloads_(registry_, "reloads_total", "Reloads of the configuration", {"outcome"}),
        dropped_(registry_, core::metrics::kind::counter, "bus_overflow_dropped_total",
                 "Messages dropped at the bound of a mailbox",
                 [] { return static_cast<double>(core::bus_overflow_dropped_total()); }),
        alive_(registry_, core::metrics::kind::gauge, "actors_alive", "Live actors by type", "type",
               actor_types, [](std::size_t i) { return count_actors(actor_types[i]); }) {
    core::configure_actors(actors_config_);
    actors_config_.set("scheduler.max-threads", std::size_t{config_->node.shards});
    actors_config_.set("scheduler.max-throughput", std::size_t{config_->scheduler.max_throughput});
    system_.emplace(actors_config_);
  }

  started<void> start();
  /// True when every role of this process has its replicas.
  bool roles_are_up() const;
  /// Starts to watch readiness; `is_watched` turns true with its first word.
  void watch();
  bool is_watched() const {
    return state_->get().missing != std::vector<std::string>{"starting"};
  }
  void print_ready_line() const;
  /// Reads the configuration and the files it names again, takes over what may change while the
  /// node runs, or nothing, and tells whoever asked for it. The main thread.
  void reload();
  /// The ordered stop; `signals` may hurry it. Returns the exit code.
  int stop(signals& from);

  bool stop_was_asked() const noexcept {
    return stop_asked_ || failed_;
  }
  bool failed() const noexcept {
    return failed_;
  }

private:
  server_parts parts_of_servers();
  started<void> start_operator_socket();
  void stop_operator_socket();
  /// What of a reload can fail: all of it, or nothing.
  core::result<void> reload_servers(const core::node_config& next);
  std::string first_contact() const;
  std::vector<core::shutdown_step> stop_steps();

  core::node_config_ptr config_; ///< what the node runs with; replaced by a reload
  core::config::recipe recipe_;
  reload_requests reload_requests_;
  core::system_clock clock_;
  core::metrics::registry registry_;
  core::metrics::process_metrics process_;
  core::metrics::chunk_pool_metrics chunks_;
  memory_watch memory_;
  std::shared_ptr<status> state_;
  std::shared_ptr<omnigate::operator_capability> capability_;
  omnigate::gate gate_;
  omnigate::gate admin_gate_;
  core::metrics::counter<reload_result> reloads_;
  core::metrics::callback dropped_;
  core::metrics::callback alive_;
  caf::actor_system_config actors_config_;
  std::optional<caf::actor_system> system_; ///< the shards run from here on
  std::unique_ptr<roles> roles_;
  std::unique_ptr<servers> servers_;
  caf::actor operator_socket_;
  monitor_actor monitor_;
  std::atomic<bool> stop_asked_{false};
  std::atomic<bool> failed_{false};
};

// -- start -----------------------------------------------------------------------

started<void> running_node::start() {
  if (const auto& file = config_->caps.root_keys; !file.empty()) {
    auto key = read_root_key(file);
    if (!key)
      return std::unexpected{key.error()};
    capability_->use_root_key(*key);
    core::crypto::secure_wipe(*key);
  }
  auto give_up = [this](const std::string& name, const caf::error& last) {
    core::log::error("node", "a role died too often; the node stops",
                     {{"role", name}, {"last", core::to_error(last).message}});
    failed_ = true;
  };
  auto peer_token = [this] {
    return capability_->mint(clock_.wall_ms(), token_life, peer_operations);
  };
  auto r = roles::start(*system_, config_, clock_, peer_token, give_up);
  if (!r)
    return std::unexpected{r.error()};
  roles_ = std::move(*r);
  roles_->show(registry_);
  memory_.show([this] { return roles_->memory(); });
  auto s = servers::start(parts_of_servers());
  if (!s)
    return std::unexpected{s.error()};
  servers_ = std::move(*s);
  if (!config_->caps.operator_socket)
    return {};
  return start_operator_socket();
}

server_parts running_node::parts_of_servers() {
  operations_parts ops;
  ops.state = state_;
  ops.metrics = &registry_;
  ops.drain = [this] {
    stop_asked_ = true;
  };
  ops.reload = &reload_requests_;
  server_parts p;
  p.on = &core::shards::of(*system_);
  p.config = config_;
  p.gate = &gate_;
  p.admin_gate = &admin_gate_;
  p.clock = &clock_;
  p.metrics = &registry_;
  p.public_rows = public_operations(ops);
  p.admin_rows = admin_operations(ops);
  for (auto& row : roles_->operations())
    p.public_rows.push_back(std::move(row));
  for (auto& row : roles_->admin_operations())
    p.admin_rows.push_back(std::move(row));
  for (auto& row : inspect::operations())
    p.admin_rows.push_back(std::move(row));
  p.admin_rows.push_back(memory_.admin_row());
  return p;
}

std::string running_node::first_contact() const {
  const auto token = capability_->mint(clock_.wall_ms(), token_life);
  const core::json line{
      {"cert_sha256", servers_->cert_sha256()},
      {"token", core::base64url_encode(
                    {reinterpret_cast<const std::uint8_t*>(token.data()), token.size()})}};
  return core::dump_json(line);
}

started<void> running_node::start_operator_socket() {
  auto fd = open_operator_socket(servers_->admin_port());
  if (!fd)
    return cannot_start(exit_unavailable, fd.error().message);
  operator_socket_ = core::spawn_on(core::shards::of(*system_).at(0), {}, make_operator_socket, *fd,
                                    [this] { return first_contact(); });
  return {};
}

void running_node::stop_operator_socket() {
  if (operator_socket_)
    caf::anon_send(operator_socket_, atom::stop_v);
  operator_socket_ = nullptr;
}

void running_node::watch() {
  monitor_parts p;
  p.state = state_;
  p.clock = &clock_;
  p.keys = [this] {
    auto keys = roles_->keys();
    servers_->add_keys(keys, clock_.now());
    const auto level = memory_.look();
    roles_->shrink_caches(level != memory_level::calm);
    keys.push_back({"memory", level != memory_level::writes_shed, false});
    return keys;
  };
  p.pressure = [this] {
    return std::max({gate_.pressure(), roles_->pressure(), servers_->pressure()});
  };
  p.take_shed = [this] {
    return gate_.take_shed();
  };
  p.refuse_writes = [this](bool on, const std::string& missing) {
    if (on)
      gate_.degrade(missing);
    else
      gate_.recover();
  };
  p.every_second = [this] {
    registry_.tick(clock_.now());
    servers_->every_second();
    roles_->maintain();
    core::log::report_suppressed();
  };
  monitor_ = core::spawn_in(*system_, {}, make_monitor, std::move(p));
}

bool running_node::roles_are_up() const {
  // An omnigate without its downstreams is up but not ready: /readyz says what is missing.
  for (const auto& key : roles_->keys())
    if (!key.ok && roles_->runs(key.name))
      return false;
  return true;
}

void running_node::print_ready_line() const {
  const core::json line{{"ready", true},
                        {"pid", ::getpid()},
                        {"endpoints", servers_->endpoints()},
                        {"cert_sha256", servers_->cert_sha256()}};
  std::puts(core::dump_json(line).c_str());
  std::fflush(stdout);
  if (::isatty(STDERR_FILENO) == 0)
    return;
  const auto port = std::to_string(servers_->admin_port());
  const auto flags = port == "9600" ? std::string{} : " --admin 127.0.0.1:" + port;
  std::fprintf(stderr,
               "ready. Try, in another terminal:\n"
               "  ./dev exec build/release/bin/ronctl put README.md%s\n"
               "  ./dev exec build/release/bin/ronctl actors%s\n"
               "Ctrl-C stops the node.\n",
               flags.c_str(), flags.c_str());
}

// -- reload ----------------------------------------------------------------------

core::log::options log_options(const core::config::log_section& c) {
  core::log::options o;
  o.least = c.level;
  o.format = c.format;
  o.levels = {c.levels.begin(), c.levels.end()};
  return o;
}

core::result<void> running_node::reload_servers(const core::node_config& next) {
  const bool opens = next.caps.operator_socket && !operator_socket_;
  if (opens)
    if (auto ok = start_operator_socket(); !ok)
      return core::fail(core::ec::conflict, ok.error().message);
  auto ok = servers_->reload(next);
  if (ok ? !next.caps.operator_socket : opens)
    stop_operator_socket();
  return ok;
}

void running_node::reload() {
  const auto fresh = core::config::load_again(recipe_);
  auto outcome = plan_reload(*config_, fresh);
  if (!outcome.refused()) {
    auto next = take_over(*config_, *fresh.config);
    if (auto ok = reload_servers(*next); ok) {
      config_ = std::move(next);
      roles_->reload(*config_);
      memory_.set(config_->node.memory_max);
      gate_.set_limits(gate_limits_of(*config_));
      core::log::configure(log_options(config_->log));
    } else {
      outcome.problems.push_back(ok.error().message);
    }
  }
  for (const auto& problem : outcome.problems)
    core::log::error("node", "reload refused, nothing was changed", {{"reason", problem}});
  if (!outcome.refused())
    core::log::info("node", "reloaded", {{"changed", outcome.changed.size()},
                                         {"after_restart", outcome.later.size()}});
  for (const auto& d : outcome.refused() ? decltype(outcome.changed){} : outcome.changed)
    core::log::info("node", "key changed", {{"key", d.name}, {"before", d.before},
                                            {"after", d.after}});
  for (const auto& d : outcome.refused() ? decltype(outcome.later){} : outcome.later)
    core::log::warn("node", "key changes with the next start of the node",
                    {{"key", d.name}, {"before", d.before}, {"after", d.after}});
  reloads_.add(outcome.refused() ? reload_result::refused : reload_result::taken);
  reload_requests_.answer(outcome);
}

// -- stop ------------------------------------------------------------------------

std::vector<core::shutdown_step> running_node::stop_steps() {
  std::vector<core::shutdown_step> steps;
  steps.push_back({.name = "readiness off",
                   .start =
                       [this] {
                         gate_.drain();
                         caf::anon_send(monitor_, atom::drain_v);
                       },
                   .done = [this] { return state_->get().state == readiness::unready; },
                   .grace = actors_grace,
                   .cut = {}});
  steps.push_back({.name = "stop accepting",
                   .start = [this] { servers_->stop_accepting(); },
                   .done = {},
                   .grace = {},
                   .cut = {}});
  steps.push_back({.name = "drain connections",
                   .start = [this] { servers_->drain(false); },
                   .done = [this] { return servers_->open_connections() == 0; },
                   .grace = config_->node.drain_timeout,
                   .cut =
                       [this] {
                         servers_->cut();
                       }});
  steps.push_back({.name = "stop roles",
                   .start = [this] { roles_->stop(*system_); },
                   .done = [this] { return roles_->stopped(); },
                   .grace = actors_grace,
                   .cut = {}});
  steps.push_back({.name = "stop admin",
                   .start =
                       [this] {
                         servers_->stop_admin();
                         stop_operator_socket();
                         caf::anon_send_exit(monitor_, caf::exit_reason::user_shutdown);
                         monitor_ = nullptr;
                       },
                   .done = [] { return core::directory::instance().size() == 0; },
                   .grace = actors_grace,
                   .cut = {}});
  return steps;
}

int running_node::stop(signals& from) {
  reload_outcome stopping;
  stopping.problems = {"the node stops"};
  reload_requests_.answer(stopping);
  core::shutdown steps{stop_steps()};
  steps.begin(clock_.now());
  while (!steps.advance(clock_.now()))
    if (from.wait_stop(step_poll)) {
      core::log::warn("node", "told twice; the node ends now",
                      {{"waiting_for", steps.waiting_for()}});
      std::_Exit(exit_cut_short);
    }
  for (const auto& step : steps.report())
    if (step.was_cut)
      core::log::warn("node", "a step of the stop was cut",
                      {{"step", step.name}, {"took", step.took}});
  if (core::directory::instance().size() > 0) {
    // Whoever is left would keep the actor system from ending: say who, and do not wait.
    for (const auto& r : core::directory::instance().snapshot())
      core::log::error("node", "actor outlived the stop", {{"type", r.type}, {"id", r.id}});
    roles_->close();
    std::_Exit(exit_cut_short);
  }
  servers_.reset();
  memory_.hide();
  roles_->close();
  roles_.reset();
  system_.reset();
  core::log::report_suppressed();
  if (failed_)
    return exit_internal;
  return steps.anything_cut() ? exit_cut_short : 0;
}

} // namespace

int run(const core::config::command& command) {
  const auto& config = command.config;
  core::log::configure(log_options(config->log));
  if (!core::b3::self_test()) {
    core::log::error("node", "the BLAKE3 library does not hash as it should");
    return exit_internal;
  }
  core::mailbox_bounds::set_fallback(config->mailbox_bounds.fallback);
  for (const auto& [type, bound] : config->mailbox_bounds.bounds)
    core::mailbox_bounds::set(type, bound);

  signals from; // before the first thread, so that all of them inherit the mask
  running_node node{command};
  if (auto ok = node.start(); !ok) {
    std::fprintf(stderr, "ron-node: %s\n", ok.error().message.c_str());
    std::fflush(stderr);
    std::_Exit(ok.error().exit_code); // nothing was acknowledged, nothing is worth an orderly end
  }
  const auto ready_by = std::chrono::steady_clock::now() + ready_grace;
  while (!node.roles_are_up() && !node.stop_was_asked()
         && std::chrono::steady_clock::now() < ready_by)
    if (from.wait_stop(milliseconds{1}))
      return node.stop(from);
  node.watch();
  while (!node.is_watched() && !from.wait_stop(milliseconds{1})) {
    // the first look is a message away
  }
  node.print_ready_line();
  // Waits for a signal, /admin/drain or a role that gives up.
  for (auto what = told::nothing; what != told::stop && !node.stop_was_asked();
       what = from.wait(milliseconds{100}))
    if (what == told::reload)
      node.reload();
  core::log::info("node", "stopping");
  return node.stop(from);
}

} // namespace ron::node
