// Load on an OAP/1 server over TLS: one thread, many connections, JSON with percentiles.

#include "load/echo_run.hpp"

#include <iterator>
#include <utility>

namespace {

using namespace ron;

const std::string usage
  = "usage: tls_echo_client --target HOST:PORT (--pin SHA256 | --ca FILE)\n"
    "         [--pq off|prefer|require] [--alpn oap/1] [--resume 0|1]\n"
    + std::string{load::echo_usage}
    + "--resume 1: handshake, hello and visit show the ticket of the connection before.\n"
      "  tls_echo_client --target 127.0.0.1:8443 --pin $PIN --conns 8 --streams 32\n"
      "  tls_echo_client --target 127.0.0.1:8443 --pin $PIN --mode stream --payload 16777216\n";

core::crypto::tls_context context_of(const load::flags& f) {
  core::crypto::tls_client_options o;
  o.pin = f.text("pin");
  o.ca_file = f.text("ca");
  o.alpn = {f.text("alpn")};
  for (std::size_t i = 0; i < std::size(core::config::pq_mode_names); ++i)
    if (f.text("pq") == core::config::pq_mode_names[i])
      o.pq = static_cast<core::config::pq_mode>(i);
  auto context = core::crypto::tls_context::make_client(o);
  if (!context)
    f.refuse(context.error().message);
  return *context;
}

} // namespace

int main(int argc, char** argv) {
  auto known = load::echo_flags();
  known.merge(decltype(known){{"target", "127.0.0.1:8443"}, {"pin", ""}, {"ca", ""}, {"pq", "off"},
                              {"alpn", "oap/1"}, {"resume", "0"}});
  const load::flags f{argc, argv, std::move(known), usage};
  const auto context = context_of(f);
  auto work = load::workload_of(f);
  work.wire = load::tls_wires(context, "localhost");
  work.agent = "tls_echo_client";
  work.resume = f.text("resume") == "1";
  return load::run_echo(f, std::move(work), load::target_of(f, "target"));
}
