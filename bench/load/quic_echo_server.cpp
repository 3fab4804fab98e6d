// OAP/1 over QUIC with the node's own listener, links, connections and stream actors, and nothing
// behind them but `ping`, `echo` and `source` (sends as many bytes as are asked for).

#include "core/actor/actor.hpp"
#include "core/actor/directory.hpp"
#include "core/actor/shards.hpp"
#include "core/json.hpp"
#include "core/memory.hpp"
#include "core/object_reader.hpp"
#include "load/flags.hpp"
#include "transport/oap_service.hpp"
#include "transport/quic/quic_listener.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>

namespace {

using namespace ron;
namespace quic = transport::quic;

constexpr std::string_view usage =
  "usage: quic_echo_server [--listen 127.0.0.1:0] [--shards 1] [--cert FILE --key FILE]\n"
  "                        [--streams 65536] [--congestion bbr|cubic] [--datagram 8952]\n"
  "Serves OAP/1 over QUIC until SIGTERM. The first line on stdout says where and with which\n"
  "certificate, the last one how much processor time it took.\n"
  "  quic_echo_server --listen 127.0.0.1:8443 &\n"
  "  quic_echo_client --target 127.0.0.1:8443 --pin ... --streams 32 --payload 65536\n";

class open_gate final : public transport::gate {
public:
  void admit(const transport::call&,
             std::function<void(core::result<transport::admission>)> then) override {
    then(transport::admission{});
  }
};

/// Sends pieces of 64 KiB as fast as the caller takes them.
class source : public std::enable_shared_from_this<source> {
public:
  source(transport::exchange_ptr x, std::uint64_t bytes) : x_(std::move(x)), left_(bytes) {
    // nop
  }
  void go() {
    if (std::exchange(running_, true)) {
      again_ = true; // there is room at once: go round below, not deeper
      return;
    }
    do {
      again_ = false;
      if (left_ == 0) {
        x_->finish();
        break;
      }
      const auto n = std::min<std::uint64_t>(left_, core::limits::chunk_bytes);
      left_ -= n;
      x_->write(noise().slice(0, n), [me = shared_from_this()] { me->go(); });
    } while (again_);
    running_ = false;
  }

private:
  static const core::bytes& noise() {
    static const auto bytes = core::bytes::copy(std::string(core::limits::chunk_bytes, 'x'));
    return bytes;
  }
  transport::exchange_ptr x_;
  std::uint64_t left_;
  bool running_ = false;
  bool again_ = false;
};

void serve_source(const transport::exchange_ptr& x) {
  core::object_reader in{x->request().args};
  const auto bytes = in.optional_uint("bytes", 0, 1ull << 40);
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  std::make_shared<source>(x, bytes.value_or(0))->go();
}

core::crypto::identity_ptr identity_of(const load::flags& f) {
  auto id = f.text("cert").empty() ? core::crypto::identity::make_development()
                                   : core::crypto::identity::load(f.text("cert"), f.text("key"));
  if (!id)
    f.refuse(id.error().message);
  return *id;
}

void end_all(std::string_view type) {
  auto& all = core::directory::instance();
  for (const auto& r : all.snapshot([&](const core::actor_record& a) { return type == a.type; }))
    core::end(all.find(r.id), caf::exit_reason::user_shutdown);
}

quic::open_connection opener(transport::oap_service_ptr service) {
  return [service = std::move(service)](core::shard& here, quic::quic_link_ptr link) {
    transport::open_oap_connection(
      here, service,
      [link = std::move(link)](boost::asio::io_context&, transport::link_owner owner) mutable {
        link->belong_to(owner);
        return transport::link_ptr{std::move(link)};
      });
  };
}

} // namespace

int main(int argc, char** argv) {
  const load::flags f{argc,
                      argv,
                      {{"listen", "127.0.0.1:0"},
                       {"shards", "1"},
                       {"cert", ""},
                       {"key", ""},
                       {"streams", "65536"},
                       {"congestion", "bbr"},
                       {"datagram", "8952"}},
                      usage};
  const auto where = f.address("listen");
  const auto identity = identity_of(f);
  if (f.text("congestion") != "bbr" && f.text("congestion") != "cubic")
    f.refuse("--congestion: bbr or cubic");

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);

  core::system_clock clock;
  core::metrics::registry registry;
  open_gate gate;
  caf::actor_system_config config;
  core::configure_actors(config);
  config.set("scheduler.max-threads", std::size_t{f.number("shards", 1, 64)});
  caf::actor_system system{config};
  auto& shards = core::shards::of(system);

  auto rows = transport::wire_operations();
  rows.push_back({.name = "source", .needs = transport::access::none, .handle = serve_source});
  transport::oap_settings settings;
  settings.session.max_streams = static_cast<std::uint32_t>(f.number("streams", 64, 65'536));
  auto service = std::make_shared<transport::oap_service>(
    transport::operation_table{std::move(rows)}, gate, clock, registry, settings);

  auto parts = std::make_shared<quic::hub_parts>();
  parts->connections.streams_max = settings.session.max_streams;
  parts->connections.bbr = f.text("congestion") == "bbr";
  parts->connections.payload_max = f.number("datagram", 1'201, 65'527);
  parts->limits.retry_from = 100'000; // a load generator's connections come all at once
  parts->limits.unfinished_max = 100'000;
  parts->frame_max = settings.session.max_frame;
  core::crypto::tls_server_options o;
  o.certificate = identity;
  o.tickets = std::make_shared<core::crypto::ticket_keys>();
  o.alpn = {"oap/1"};
  std::vector<core::crypto::tls_context> tls;
  for (std::size_t i = 0; i < shards.size(); ++i)
    tls.push_back(core::crypto::tls_context::make_server(o).value());
  parts->tls = [tls = std::move(tls)](std::size_t shard) { return tls[shard]; };
  parts->keys = std::make_shared<quic::secrets>();
  parts->budget = std::make_shared<transport::connection_budget>(
    transport::connection_limits{1'000'000, 1'000'000, 1'000'000});
  parts->sockets = std::make_shared<transport::socket_metrics>(registry);
  parts->metrics = std::make_shared<quic::quic_metrics>(registry);
  parts->clock = &clock;
  parts->open = opener(service);
  auto listening = quic::start_quic(shards, {where.first, where.second}, 4u << 20, parts);
  if (!listening)
    f.refuse(listening.error().message);
  std::puts(core::dump_json({{"ready", true},
                             {"pid", ::getpid()},
                             {"listen", listening->address.to_string()},
                             {"cert_sha256", identity->cert_sha256()}})
              .c_str());
  std::fflush(stdout);

  int number = 0;
  sigwait(&ends, &number);
  const auto used = core::read_process_usage();
  std::puts(core::dump_json({{"cpu_seconds", used.cpu_seconds},
                             {"resident_bytes", used.resident_bytes},
                             {"streams", service->wire().streams_total.value()},
                             {"packets_lost", parts->metrics->packets_lost.value()}})
              .c_str());
  std::fflush(stdout);
  listening->stop(shards);
  end_all("oap.connection");
  return 0;
}
