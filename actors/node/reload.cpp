#include "node/reload.hpp"

#include <unistd.h>

#include <csignal>
#include <utility>

namespace ron::node {

namespace {

using core::config::omnigate_section;
using core::config::reload_effect;
using core::config::transport_section;

void take_over(omnigate_section& running, const omnigate_section& fresh) {
  running.inflight_max = fresh.inflight_max;
  running.rate = fresh.rate;
  running.burst = fresh.burst;
  running.rate_tenant = fresh.rate_tenant;
  running.rate_address = fresh.rate_address;
  running.public_read = fresh.public_read;
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

/// Where the values come from, and with it which members of families there are.
void take_over_origins(core::node_config& running, const core::node_config& fresh) {
  const auto is_live = [](const auto& entry) {
    const auto key = core::config::find_key(entry.first);
    return key && key->info->on_reload == reload_effect::at_once;
  };
  std::erase_if(running.origins, is_live);
  for (const auto& entry : fresh.origins)
    if (is_live(entry))
      running.origins.insert(entry);
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
    switch (d.on_reload) {
    case reload_effect::refused:
      out.problems.push_back(d.name + ": cannot change from " + d.before + " to " + d.after
                             + " while the node runs; restart it");
      break;
    case reload_effect::next_start:
      out.later.push_back(std::move(d));
      break;
    case reload_effect::at_once:
      out.changed.push_back(std::move(d));
      break;
    }
  }
  return out;
}

core::node_config_ptr take_over(const core::node_config& running, const core::node_config& fresh) {
  auto next = std::make_shared<core::node_config>(running);
  next->log = fresh.log;
  next->node.drain_timeout = fresh.node.drain_timeout;
  next->node.memory_max = fresh.node.memory_max;
  next->storage.quota = fresh.storage.quota;
  next->storage.verified_cache = fresh.storage.verified_cache;
  next->storage.rf = fresh.storage.rf;
  next->storage.repair_rate = fresh.storage.repair_rate;
  take_over(next->omnigate, fresh.omnigate);
  take_over(next->transport, fresh.transport);
  take_over_origins(*next, fresh);
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
