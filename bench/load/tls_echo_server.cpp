// OAP/1 over TLS 1.3 with the node's own listeners, links, connections and stream actors, and
// nothing behind them but `ping`, `echo` and `source` (sends as many bytes as are asked for).

#include "core/actor/actor.hpp"
#include "core/actor/directory.hpp"
#include "core/actor/shards.hpp"
#include "core/crypto/tls_session.hpp"
#include "core/json.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"
#include "core/object_reader.hpp"
#include "load/flags.hpp"
#include "transport/listener.hpp"
#include "transport/oap_service.hpp"
#include "transport/tls/tls_link.hpp"

#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>

namespace {

using namespace ron;

constexpr std::string_view usage
  = "usage: tls_echo_server [--listen 127.0.0.1:0] [--shards 1] [--cert FILE --key FILE]\n"
    "                       [--pq off|prefer|require] [--body FILE]\n"
    "Serves OAP/1 over TLS until SIGTERM. The first line on stdout says where and with which\n"
    "certificate, the last one how much processor time it took.\n"
    "  tls_echo_server --listen 127.0.0.1:8443 &\n"
    "  tls_echo_client --target 127.0.0.1:8443 --pin ... --conns 8 --streams 32 --payload 1024\n";

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
  source(transport::exchange_ptr x, core::bytes body, std::uint64_t bytes)
    : x_(std::move(x)), body_(std::move(body)), left_(bytes) {
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
      const auto n = std::min<std::uint64_t>(
        {left_, core::limits::chunk_bytes, body_.size() - at_});
      const auto piece = body_.slice(at_, n);
      left_ -= n;
      at_ = (at_ + n) % body_.size();
      x_->write(piece, [me = shared_from_this()] { me->go(); });
    } while (again_);
    running_ = false;
  }

private:
  transport::exchange_ptr x_;
  core::bytes body_;
  std::size_t at_ = 0;
  std::uint64_t left_;
  bool running_ = false;
  bool again_ = false;
};

void serve_source(const transport::exchange_ptr& x, const core::bytes& body) {
  core::object_reader in{x->request().args};
  const auto bytes = in.optional_uint("bytes", 0, 1ull << 40);
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  std::make_shared<source>(x, body, bytes.value_or(0))->go();
}

core::crypto::identity_ptr identity_of(const load::flags& f) {
  auto id = f.text("cert").empty() ? core::crypto::identity::make_development()
                                   : core::crypto::identity::load(f.text("cert"), f.text("key"));
  if (!id)
    f.refuse(id.error().message);
  return *id;
}

core::config::pq_mode pq_of(const load::flags& f) {
  for (std::size_t i = 0; i < std::size(core::config::pq_mode_names); ++i)
    if (f.text("pq") == core::config::pq_mode_names[i])
      return static_cast<core::config::pq_mode>(i);
  f.refuse("--pq: off, prefer or require");
}

/// What `source` sends, again and again: a file, or a piece of nothing in particular.
core::bytes body_of(const load::flags& f) {
  std::string text(core::limits::chunk_bytes, 'x');
  if (!f.text("body").empty()) {
    std::ifstream in{f.text("body"), std::ios::binary};
    text.assign(std::istreambuf_iterator<char>{in}, {});
    if (text.empty())
      f.refuse("--body: cannot read " + f.text("body"));
  }
  return core::bytes::copy(text);
}

void end_all(std::string_view type) {
  auto& all = core::directory::instance();
  for (const auto& r : all.snapshot([&](const core::actor_record& a) { return type == a.type; }))
    core::end(all.find(r.id), caf::exit_reason::user_shutdown);
}

} // namespace

int main(int argc, char** argv) {
  const load::flags f{argc, argv,
                      {{"listen", "127.0.0.1:0"}, {"shards", "1"}, {"cert", ""}, {"key", ""},
                       {"pq", "off"}, {"body", ""}},
                      usage};
  const auto where = f.address("listen");
  const auto identity = identity_of(f);
  core::log::options quiet; // clients that leave in the middle of a frame are none of its business
  quiet.least = core::log::level::error;
  core::log::configure(quiet);
  core::raise_descriptor_limit();

  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  core::system_clock clock;
  core::metrics::registry registry;
  open_gate gate;
  caf::actor_system_config config;
  core::configure_actors(config);
  config.set("scheduler.max-threads", std::size_t{f.number("shards", 1, 64)});
  caf::actor_system system{config};
  auto& shards = core::shards::of(system);
  auto metrics = std::make_shared<transport::socket_metrics>(registry);

  core::crypto::tls_server_options o;
  o.certificate = identity;
  o.tickets = std::make_shared<core::crypto::ticket_keys>();
  o.alpn = {"oap/1"};
  o.pq = pq_of(f);
  std::vector<core::crypto::tls_context> contexts;
  std::vector<transport::handshake_line_ptr> lines;
  for (std::size_t i = 0; i < shards.size(); ++i) {
    contexts.push_back(core::crypto::tls_context::make_server(o).value());
    lines.push_back(std::make_shared<transport::handshake_line>(
      shards.at(i), static_cast<std::uint32_t>(2 * shards.size()), shards.size(), metrics, clock));
  }

  auto rows = transport::wire_operations();
  rows.push_back({.name = "source", .needs = transport::access::none, 
                  .handle = [body = body_of(f)](const transport::exchange_ptr& x) {
                    serve_source(x, body);
                  }});
  auto service = std::make_shared<transport::oap_service>(
    transport::operation_table{std::move(rows)}, gate, clock, registry, transport::oap_settings{});
  auto make = [&](caf::local_actor*, transport::accepted a) {
    auto& here = *core::shard::current();
    auto session = core::crypto::tls_session::accept(contexts[here.index()]);
    if (!session)
      return;
    transport::open_oap_connection(
      here, service,
      [a = std::move(a), s = std::move(*session), line = lines[here.index()]](
        boost::asio::io_context& io, transport::link_owner owner) mutable {
        auto link = transport::make_tls_link(io, std::move(a.fd), a.peer.text, std::move(s), owner,
                                             line);
        link->when_settled([slot = std::move(a.slot)]() mutable { slot.settle(); });
        return link;
      });
  };
  transport::listener_settings settings;
  settings.metrics = metrics;
  settings.budget = std::make_shared<transport::connection_budget>(
    transport::connection_limits{1'000'000, 1'000'000, 1'000'000});
  auto listening = transport::start_listeners(shards, {where.first, where.second}, {}, settings,
                                              make);
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
                             {"streams", service->wire().streams_total.value()}})
              .c_str());
  std::fflush(stdout);
  listening->stop();
  end_all("oap.connection");
  return 0;
}
