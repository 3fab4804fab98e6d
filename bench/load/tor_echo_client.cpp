// Load on an onion service that speaks OAP/1: one thread, many connections through one tor daemon,
// JSON with percentiles.

#include "load/echo_run.hpp"

#include <utility>

namespace {

using namespace ron;

const std::string usage
  = "usage: tor_echo_client --onion ADDRESS.onion:PORT [--socks 127.0.0.1:9050] [--raw 0|1]\n"
    "         [--isolation WORD]\n"
    + std::string{load::echo_usage}
    + "--raw 1: the peer of `--mode hello` is a bare echo service: as many bytes, compared.\n"
      "--isolation: connections with different words share no circuit.\n"
      "  tor_echo_server --hs 127.0.0.1:8443 --control 127.0.0.1:9051 &\n"
      "  tor_echo_client --onion $ONION --conns 64 --rps 1200 --payload 2048\n";

} // namespace

int main(int argc, char** argv) {
  auto known = load::echo_flags();
  known.merge(decltype(known){{"onion", ""}, {"socks", "127.0.0.1:9050"}, {"raw", "0"},
                              {"isolation", "load"}});
  const load::flags f{argc, argv, std::move(known), usage};
  const auto [host, port] = f.address("onion");
  auto work = load::workload_of(f);
  if (work.what == load::workload::kind::handshake)
    f.refuse("--mode: there is no handshake within Tor; hello, visit, echo, stream or idle");
  work.raw = f.text("raw") == "1";
  if (work.raw && work.what != load::workload::kind::hello)
    f.refuse("--raw 1 needs --mode hello");
  work.wire = load::onion_wires({host, port, f.text("isolation")});
  work.agent = "tor_echo_client";
  work.alpn = false;
  return load::run_echo(f, std::move(work), load::target_of(f, "socks"));
}
