#include "node/reload.hpp"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <string_view>
#include <utility>

namespace ron::node {

namespace {

using core::config::transport_section;

/// The keys that a running node takes over; a last dot stands for all keys that begin so.
constexpr auto live_keys = std::to_array<std::string_view>({
  "log.",
  "node.drain-timeout",
  "storage.rf",
  "storage.repair-rate",
  "transport.connections-max",
  "transport.per-peer-max",
  "transport.transient-max",
  "transport.accept-permits",
  "transport.cert",
  "transport.key",
  "transport.client-ca",
  "transport.ocsp",
  "transport.ocsp-fetch",
  "transport.ticket-rotation",
  "transport.pq"});

bool is_live(std::string_view name) {
  return std::ranges::any_of(live_keys, [name](std::string_view key) {
    return key.ends_with('.') ? name.starts_with(key) : name == key;
  });
}

void take_over(transport_section& running, const transport_section& fresh) {
  running.connections_max = fresh.connections_max;
  running.per_peer_max = fresh.per_peer_max;
  running.transient_max = fresh.transient_max;
  running.accept_permits = fresh.accept_permits;
  running.cert = fresh.cert;
  running.key = fresh.key;
  running.client_ca = fresh.client_ca;
  running.ocsp = fresh.ocsp;
  running.ocsp_fetch = fresh.ocsp_fetch;
  running.ticket_rotation = fresh.ticket_rotation;
  running.pq = fresh.pq;
}

} // namespace

std::string_view to_string(reload_result r) noexcept {
  return r == reload_result::taken ? "taken" : "refused";
}

reload_outcome plan_reload(const core::node_config& running, const core::config::loaded& fresh) {
  reload_outcome out;
  for (const auto& e : fresh.errors)
    out.problems.push_back(core::config::to_string(e));
  if (!fresh.config)
    return out;
  for (auto& d : core::config::diff(running, *fresh.config)) {
    if (!d.reloadable)
      out.problems.push_back(d.name + ": cannot change from " + d.before + " to " + d.after
                             + " while the node runs; restart it");
    else
      (is_live(d.name) ? out.changed : out.later).push_back(std::move(d));
  }
  return out;
}

core::node_config_ptr take_over(const core::node_config& running, const core::node_config& fresh) {
  auto next = std::make_shared<core::node_config>(running);
  next->log = fresh.log;
  next->node.drain_timeout = fresh.node.drain_timeout;
  next->storage.rf = fresh.storage.rf;
  next->storage.repair_rate = fresh.storage.repair_rate;
  take_over(next->transport, fresh.transport);
  return next;
}

bool reload_requests::ask(handler then) {
  {
    std::lock_guard lock{mutex_};
    if (waiting_.size() >= waiting_max)
      return false;
    waiting_.push_back(std::move(then));
  }
  ::kill(::getpid(), SIGHUP);
  return true;
}

void reload_requests::answer(const reload_outcome& outcome) {
  std::vector<handler> all;
  {
    std::lock_guard lock{mutex_};
    all.swap(waiting_);
  }
  for (auto& then : all)
    then(outcome);
}

} // namespace ron::node
