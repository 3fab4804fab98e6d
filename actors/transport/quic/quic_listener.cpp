#include "transport/quic/quic_listener.hpp"

#include "core/actor/shard.hpp"

#include <utility>

namespace ron::transport::quic {

void quic_listeners::stop(core::shards& on) const {
  for (std::size_t i = 0; i < on.size(); ++i)
    on.at(i).post([one = hubs->at(i)] {
      if (auto h = one.lock())
        h->stop_accepting();
    });
}

core::result<quic_listeners> start_quic(core::shards& on, const core::config::host_port& where,
                                        std::size_t buffer_bytes,
                                        std::shared_ptr<const hub_parts> parts) {
  auto sockets = bind_udp(where, on.size(), buffer_bytes);
  if (!sockets)
    return std::unexpected{sockets.error()};
  std::vector<std::shared_ptr<hub>> made;
  auto family = std::make_shared<hub::family>();
  for (std::size_t i = 0; i < on.size(); ++i) {
    made.push_back(std::make_shared<hub>(on.at(i), parts, std::move(sockets->fds[i])));
    family->push_back(made.back());
  }
  std::shared_ptr<const hub::family> hubs = std::move(family);
  for (std::size_t i = 0; i < on.size(); ++i)
    on.at(i).post([one = std::move(made[i]), hubs] { one->start(hubs); });
  return quic_listeners{std::move(sockets->where), std::move(hubs)};
}

} // namespace ron::transport::quic
