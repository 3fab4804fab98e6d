// OAP/1 over TLS 1.3 with the node's own listeners, links, connections and stream actors, and
// nothing behind them but `ping`, `echo` and `source` (sends as many bytes as are asked for).

#include "load/echo_server.hpp"

#include "core/crypto/tls_session.hpp"
#include "transport/tls/tls_link.hpp"

#include <iterator>
#include <utility>
#include <vector>

namespace {

using namespace ron;

constexpr std::string_view usage
  = "usage: tls_echo_server [--listen 127.0.0.1:0] [--shards 1] [--cert FILE --key FILE]\n"
    "                       [--pq off|prefer|require] [--body FILE]\n"
    "Serves OAP/1 over TLS until SIGTERM. The first line on stdout says where and with which\n"
    "certificate, the last one how much processor time it took.\n"
    "  tls_echo_server --listen 127.0.0.1:8443 &\n"
    "  tls_echo_client --target 127.0.0.1:8443 --pin ... --conns 8 --streams 32 --payload 1024\n";

core::config::pq_mode pq_of(const load::flags& f) {
  for (std::size_t i = 0; i < std::size(core::config::pq_mode_names); ++i)
    if (f.text("pq") == core::config::pq_mode_names[i])
      return static_cast<core::config::pq_mode>(i);
  f.refuse("--pq: off, prefer or require");
}

/// The TLS side of each shard.
struct shaking {
  std::vector<core::crypto::tls_context> contexts;
  std::vector<transport::handshake_line_ptr> lines;
};

shaking prepare(const load::flags& f, load::echo_server& server,
                const core::crypto::identity_ptr& identity) {
  core::crypto::tls_server_options o;
  o.certificate = identity;
  o.tickets = std::make_shared<core::crypto::ticket_keys>();
  o.alpn = {"oap/1"};
  o.pq = pq_of(f);
  shaking out;
  auto& shards = server.shards();
  for (std::size_t i = 0; i < shards.size(); ++i) {
    out.contexts.push_back(core::crypto::tls_context::make_server(o).value());
    out.lines.push_back(std::make_shared<transport::handshake_line>(
      shards.at(i), static_cast<std::uint32_t>(2 * shards.size()), shards.size(),
      server.sockets(), server.clock()));
  }
  return out;
}

} // namespace

int main(int argc, char** argv) {
  auto known = load::echo_server_flags();
  known.merge(decltype(known){{"listen", "127.0.0.1:0"}, {"cert", ""}, {"key", ""}, {"pq", "off"}});
  const load::flags f{argc, argv, std::move(known), usage};
  const auto where = f.address("listen");
  const auto identity = load::identity_of(f);
  load::echo_server server{f};
  const auto tls = prepare(f, server, identity);

  auto make = [&tls, service = server.service()](caf::local_actor*, transport::accepted a) {
    auto& here = *core::shard::current();
    auto session = core::crypto::tls_session::accept(tls.contexts[here.index()]);
    if (!session)
      return;
    transport::open_oap_connection(
      here, service,
      [a = std::move(a), s = std::move(*session), line = tls.lines[here.index()]](
        boost::asio::io_context& io, transport::link_owner owner) mutable {
        auto link = transport::make_tls_link(io, std::move(a.fd), a.peer.text, std::move(s), owner,
                                             line);
        link->when_settled([slot = std::move(a.slot)]() mutable { slot.settle(); });
        return link;
      });
  };
  auto listening = transport::start_listeners(server.shards(), {where.first, where.second}, {},
                                              server.listener(), make);
  if (!listening)
    f.refuse(listening.error().message);
  server.announce({{"listen", listening->address.to_string()},
                   {"cert_sha256", identity->cert_sha256()}});
  server.serve();
  listening->stop();
  load::echo_server::end_all("oap.connection");
  return 0;
}
