// OAP/1 behind an onion service with the node's own listeners, links, connections and stream
// actors, and nothing behind them but `ping`, `echo` and `source` (sends as many bytes as are asked
// for).

#include "load/echo_server.hpp"

#include "transport/tcp/tcp_link.hpp"
#include "transport/tor/onion_actor.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

namespace {

using namespace ron;
namespace tor = transport::tor;

constexpr std::string_view usage
  = "usage: tor_echo_server [--hs 127.0.0.1:0] [--control HOST:PORT] [--onion-port 443]\n"
    "                       [--shards 1] [--body FILE]\n"
    "Serves OAP/1 on a loopback port for a tor daemon to lead an onion service to, until SIGTERM.\n"
    "With --control it has the daemon publish one, with a key that is forgotten. The first line\n"
    "on stdout says where, once it can be reached; the last one how much processor time it took.\n"
    "  tor_echo_server --hs 127.0.0.1:8443 --control 127.0.0.1:9051 &\n"
    "  tor_echo_client --onion $ONION --conns 64 --rps 1200 --payload 2048\n";

/// The time a daemon gets to find its network and publish.
constexpr std::chrono::seconds publish_max{120};

/// Has a daemon lead an onion service to `target`; its address with the port, or nothing and why on
/// stderr.
std::string publish(load::echo_server& server, const load::flags& f, const std::string& target) {
  const auto [host, port] = f.address("control");
  const auto status = std::make_shared<tor::onion_status>(server.registry());
  tor::onion_parts parts;
  parts.control = {host, port};
  parts.service.onion_port = static_cast<std::uint16_t>(f.number("onion-port", 1, 65'535));
  parts.service.target = target;
  parts.service.bootstrap_timeout = publish_max;
  parts.status = status;
  parts.clock = &server.clock();
  tor::start_onion(server.shards(), std::move(parts));
  if (server.await([&] { return status->is_published(); }, server.clock().now() + publish_max))
    return status->address();
  const auto why = status->failure();
  std::fprintf(stderr, "not published: %s\n",
               why ? (std::string{tor::advice(why->why)} + ": " + why->detail).c_str() : "in time");
  return {};
}

} // namespace

int main(int argc, char** argv) {
  auto known = load::echo_server_flags();
  known.merge(
    decltype(known){{"hs", "127.0.0.1:0"}, {"control", ""}, {"onion-port", "443"}});
  const load::flags f{argc, argv, std::move(known), usage};
  const auto where = f.address("hs");
  load::echo_server server{f};

  auto make = [service = server.service()](caf::local_actor*, transport::accepted a) {
    transport::open_oap_connection(
      *core::shard::current(), service,
      [a = std::move(a)](boost::asio::io_context& io, transport::link_owner owner) mutable {
        auto link = transport::make_tcp_link(io, std::move(a.fd), a.peer.text, owner,
                                             transport::first_word::peer);
        link->when_settled([slot = std::move(a.slot)]() mutable { slot.settle(); });
        return link;
      },
      transport::wire::oap_tor);
  };
  auto listening = transport::start_listeners(server.shards(), {where.first, where.second}, {},
                                              server.listener(), make);
  if (!listening)
    f.refuse(listening.error().message);
  const auto target = listening->address.to_string();
  core::json what{{"hs", target}};
  if (!f.text("control").empty())
    what["onion"] = publish(server, f, target);
  const bool good = !what.contains("onion") || what["onion"] != "";
  if (good) {
    server.announce(std::move(what));
    server.serve();
  }
  listening->stop();
  load::echo_server::end_all("transport.onion");
  load::echo_server::end_all("oap.connection");
  return good ? 0 : 1;
}
