#include "node/onion.hpp"

#include "core/json.hpp"
#include "core/log.hpp"
#include "transport/tor/onion_key.hpp"

#include <arpa/inet.h>

#include <cstring>

namespace ron::node {

namespace tor = transport::tor;
using core::json;

namespace {

bool is_numeric(const std::string& host) {
  in6_addr room{};
  return ::inet_pton(AF_INET, host.c_str(), &room) == 1
         || ::inet_pton(AF_INET6, host.c_str(), &room) == 1;
}

json status_json(const tor::onion_status& s) {
  const auto address = s.address();
  const auto failure = s.failure();
  json why = nullptr;
  if (failure)
    why = {{"reason", tor::to_string(failure->why)},
           {"detail", failure->detail},
           {"advice", tor::advice(failure->why)}};
  return {{"bootstrap", s.bootstrap()},
          {"published", s.is_published()},
          {"address", address.empty() ? json(nullptr) : json(address)},
          {"failure", why}};
}

} // namespace

bool wants_onion(const core::node_config& c) noexcept {
  return c.tor.onion || c.oap.tor;
}

onion::onion(core::metrics::registry& registry)
    : status_(std::make_shared<tor::onion_status>(registry)) {
  // nop
}

transport::peer_address onion::peers() {
  constexpr std::string_view name = "tor";
  transport::peer_address out;
  out.text = name;
  std::memcpy(out.key.bytes.data(), name.data(), name.size()); // no host has 746f:7200::
  return out;
}

started<void> onion::publish(core::shards& on, const core::node_config& c, std::string target,
                             const core::clock& clock) {
  if (!is_numeric(c.tor.control.host))
    return cannot_start(exit_configuration, "tor.control: " + c.tor.control.to_string()
                                              + ": expected an address in numbers");
  tor::onion_parts parts;
  parts.control = c.tor.control;
  parts.service.onion_port = static_cast<std::uint16_t>(c.tor.port);
  parts.service.target = std::move(target);
  parts.service.bootstrap_timeout = c.tor.bootstrap_timeout;
  parts.status = status_;
  parts.clock = &clock;
  if (!c.node.amnesia) {
    const auto file = c.node.data_dir + "/onion.key";
    auto key = tor::load_onion_key(file);
    if (!key)
      return cannot_start(exit_configuration, "onion service: " + key.error().message);
    parts.service.key = std::move(*key);
    parts.keep_key = [file](const std::string& fresh) {
      if (auto ok = tor::save_onion_key(file, fresh); !ok)
        core::log::error("tor", "the key of the onion service is lost when the node ends",
                         {{"reason", ok.error().message}});
    };
  }
  actor_ = tor::start_onion(on, std::move(parts));
  return {};
}

void onion::stop() {
  if (actor_)
    caf::anon_send<caf::message_priority::high>(actor_, atom::stop_v);
  actor_ = nullptr;
}

void onion::add_keys(std::vector<readiness_key>& keys) const {
  constexpr std::uint32_t done = 100;
  keys.push_back({.name = "tor_bootstrap", .ok = status_->bootstrap() == done});
  keys.push_back({.name = "tor_hs_published", .ok = status_->is_published()});
}

transport::operation onion::admin_row() const {
  return {.method = "GET",
          .path = "/admin/tor",
          .needs = transport::access::none,
          .handle = [s = status_](transport::exchange_ptr x) {
            transport::answer a;
            a.result = status_json(*s);
            x->reply(std::move(a));
          }};
}

} // namespace ron::node
