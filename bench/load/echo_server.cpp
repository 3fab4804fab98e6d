#include "load/echo_server.hpp"

#include "core/actor/actor.hpp"
#include "core/actor/directory.hpp"
#include "core/log.hpp"
#include "core/memory.hpp"
#include "core/object_reader.hpp"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <utility>

namespace ron::load {

namespace {

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

open_gate the_gate;

/// Those that end the program, blocked in this thread and in all that it will make.
sigset_t blocked_signals() {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGTERM);
  sigaddset(&ends, SIGINT);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return ends;
}

void print(const core::json& line) {
  std::puts(core::dump_json(line).c_str());
  std::fflush(stdout);
}

caf::actor_system_config& prepared(caf::actor_system_config& config, const flags& f) {
  core::log::options quiet; // clients that leave in the middle of a frame are none of its business
  quiet.least = core::log::level::error;
  core::log::configure(quiet);
  core::raise_descriptor_limit();
  core::configure_actors(config);
  config.set("scheduler.max-threads", std::size_t{f.number("shards", 1, 64)});
  return config;
}

} // namespace

std::map<std::string, std::string, std::less<>> echo_server_flags() {
  return {{"shards", "1"}, {"body", ""}};
}

core::crypto::identity_ptr identity_of(const load::flags& f) {
  auto id = f.text("cert").empty() ? core::crypto::identity::make_development()
                                   : core::crypto::identity::load(f.text("cert"), f.text("key"));
  if (!id)
    f.refuse(id.error().message);
  return *id;
}

echo_server::echo_server(const flags& f, std::uint32_t max_streams)
  : ends_(blocked_signals()),
    system_(prepared(config_, f)),
    sockets_(std::make_shared<transport::socket_metrics>(registry_)) {
  auto rows = transport::wire_operations();
  rows.push_back({.name = "source",
                  .needs = transport::access::none,
                  .handle = [body = body_of(f)](const transport::exchange_ptr& x) {
                    serve_source(x, body);
                  }});
  transport::oap_settings settings;
  settings.session.max_streams = max_streams;
  service_ = std::make_shared<transport::oap_service>(transport::operation_table{std::move(rows)},
                                                      the_gate, clock_, registry_, settings);
}

transport::listener_settings echo_server::listener() const {
  transport::listener_settings out;
  out.metrics = sockets_;
  out.budget = std::make_shared<transport::connection_budget>(
    transport::connection_limits{1'000'000, 1'000'000, 1'000'000});
  return out;
}

void echo_server::announce(core::json what) const {
  what["ready"] = true;
  what["pid"] = ::getpid();
  print(what);
}

void echo_server::serve(const std::function<core::json()>& more) const {
  int number = 0;
  sigwait(&ends_, &number);
  const auto used = core::read_process_usage();
  core::json last{{"cpu_seconds", used.cpu_seconds},
                  {"resident_bytes", used.resident_bytes},
                  {"streams", service_->wire().streams_total.value()}};
  if (more)
    last.update(more());
  print(last);
}

bool echo_server::await(const std::function<bool()>& condition, core::instant deadline) const {
  constexpr timespec pause{0, 20'000'000};
  while (!condition())
    if (clock_.now() >= deadline || ::sigtimedwait(&ends_, nullptr, &pause) > 0)
      return false;
  return true;
}

void echo_server::end_all(std::string_view type) {
  auto& all = core::directory::instance();
  for (const auto& r : all.snapshot([&](const core::actor_record& a) { return type == a.type; }))
    core::end(all.find(r.id), caf::exit_reason::user_shutdown);
}

} // namespace ron::load
