#include "transport/oap_rig.hpp"

#include <future>
#include <stdexcept>

namespace ron::test {

namespace {

using transport::body_chunk;
using transport::exchange_ptr;

constexpr std::size_t piece_bytes = 32u << 10;

void hang(oap_world& world, const exchange_ptr& x) {
  x->on_cancel([&world] { ++world.cancelled; });
  world.held.push_back(x);
}

void sink(oap_world& world, exchange_ptr x) {
  auto* raw = x.get();
  raw->read_body([&world, x = std::move(x)](core::result<body_chunk> piece) mutable {
    if (!piece) {
      ++world.bodies_failed;
      return x->fail(std::move(piece.error()));
    }
    world.uploaded += piece->data.size();
    if (!piece->last)
      return sink(world, std::move(x));
    transport::answer a;
    a.result = {{"got", world.uploaded.load()}};
    x->reply(std::move(a));
  });
}

void produce(oap_world& world, exchange_ptr x, std::uint64_t left) {
  if (left == 0)
    return x->finish();
  const auto n = std::min<std::uint64_t>(left, piece_bytes);
  world.produced += n;
  auto* raw = x.get();
  raw->write(core::bytes::copy(std::string(n, 'x')), [&world, x = std::move(x), left, n]() mutable {
    produce(world, std::move(x), left - n);
  });
}

void serve_object(oap_world& world, exchange_ptr x) {
  const auto size = x->request().args["size"].get<std::uint64_t>();
  x->on_cancel([&world] { ++world.cancelled; });
  transport::object_head head;
  head.size = head.length = size;
  x->begin(std::move(head));
  produce(world, std::move(x), size);
}

void tear(const exchange_ptr& x) {
  transport::object_head head;
  head.size = head.length = 2 * piece_bytes;
  x->begin(std::move(head));
  x->write(core::bytes::copy(std::string(piece_bytes, 'x')), [] {});
  x->fail({core::ec::bad_digest, "torn"});
}

void throw_late(exchange_ptr x) {
  auto* raw = x.get();
  raw->read_body([x = std::move(x)](const core::result<body_chunk>&) {
    throw std::runtime_error{"a bug of the operation"};
  });
}

} // namespace

std::vector<transport::operation> oap_toys(oap_world& world) {
  using transport::access;
  using transport::body;
  auto rows = transport::wire_operations();
  rows.push_back({.name = "hang", .needs = access::none, .handle = [&world](exchange_ptr x) {
                    hang(world, x);
                  }});
  rows.push_back(
      {.name = "wait", .needs = access::none, .waits = true, .handle = [&world](exchange_ptr x) {
         hang(world, x);
       }});
  rows.push_back({.name = "sink",
                  .needs = access::none,
                  .takes = body::object,
                  .handle = [&world](exchange_ptr x) {
                    sink(world, std::move(x));
                  }});
  rows.push_back({.name = "throw", .needs = access::none, .handle = [](const exchange_ptr&) {
                    throw std::runtime_error{"a bug of the operation"};
                  }});
  rows.push_back({.name = "throw.late",
                  .needs = access::none,
                  .takes = body::object,
                  .handle = throw_late});
  rows.push_back({.name = "torn", .needs = access::none, .handle = tear});
  rows.push_back({.name = "object", .needs = access::none, .handle = [&world](exchange_ptr x) {
                    serve_object(world, std::move(x));
                  }});
  return rows;
}

// -- client ------------------------------------------------------------------------

oap_client::oap_client(tls_peer peer, oap::session_settings settings)
    : peer_(std::move(peer)), session_(oap::role::dialer, std::move(settings)) {
  // nop
}

oap::corr_t oap_client::open(std::string_view name, core::json args, oap::open_request r) {
  auto map = args.is_null() ? core::bytes{} : core::dump_cbor(args);
  r.name = name;
  r.args = map.view();
  auto corr = session_.open(r);
  EXPECT_TRUE(corr) << corr.error().message;
  flush();
  return corr.value_or(0);
}

bool oap_client::flush() {
  std::vector<core::bytes> out;
  bool ok = true;
  while (ok && session_.take(out)) {
    std::string text;
    for (auto& slice : out)
      text += slice.text();
    out.clear();
    ok = peer_.write(text);
  }
  return ok;
}

void oap_client::take() {
  while (session_.take_events(events_))
    for (auto& e : events_) {
      if (auto* d = std::get_if<oap::data>(&e); d && consumes)
        session_.consumed(d->corr);
      seen.push_back(std::move(e));
    }
}

bool oap_client::pump() {
  auto text = peer_.read_some();
  if (text.empty()) {
    session_.on_eof(peer_.session().peer_closed());
    take();
    return false;
  }
  session_.on_bytes(core::bytes::copy(text), std::chrono::steady_clock::now());
  take();
  flush();
  return true;
}

bool oap_client::until(const std::function<bool(const oap_client&)>& condition) {
  take();
  while (!condition(*this))
    if (!pump())
      return condition(*this);
  return true;
}

bool oap_client::at_end() {
  const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds{20};
  while (pump())
    if (std::chrono::steady_clock::now() > limit)
      return false;
  return std::chrono::steady_clock::now() < limit;
}

std::size_t oap_client::bytes_of(oap::corr_t corr) const {
  std::size_t n = 0;
  for (const auto& e : seen)
    if (auto* d = std::get_if<oap::data>(&e); d && d->corr == corr)
      n += d->bytes.size();
  return n;
}

// -- rig ---------------------------------------------------------------------------

OapRig::OapRig() : ShardFixture(1) {
  using std::chrono::seconds; // nothing ends unless a test asks for it
  settings.session.features = {"x1"};
  settings.line.handshake_timeout = seconds{30};
  settings.line.read_timeout = seconds{30};
  settings.line.write_timeout = seconds{30};
  settings.stall_timeout = settings.body_timeout = settings.request_timeout = seconds{30};
}

OapRig::~OapRig() {
  for (auto& c : connections_)
    core::end(caf::actor_cast<caf::strong_actor_ptr>(c), caf::exit_reason::user_shutdown);
  connections_.clear();
  // An exchange lives on its shard and dies there.
  std::promise<void> done;
  shards.at(0).submit([this, &done] {
    toys.held.clear();
    done.set_value();
  });
  done.get_future().wait();
  EXPECT_TRUE(eventually([] { return core::directory::instance().size() == 0; }))
      << "an actor stayed";
  EXPECT_EQ(gate.slots, 0);
}

void OapRig::start() {
  if (!service_)
    service_ = std::make_shared<transport::oap_service>(transport::operation_table{oap_toys(toys)},
                                                        gate, clock, registry, settings);
}

tls_peer OapRig::dial_socket(int buffer_bytes) {
  start();
  auto [ours, theirs] = tcp_pair(buffer_bytes);
  auto server = core::crypto::tls_context::make_server(world.server_options()).value();
  auto client = core::crypto::tls_context::make_client(world.client_options()).value();
  connections_.push_back(transport::open_oap_connection(
      shards.at(0), service_,
      [fd = std::move(ours), server](boost::asio::io_context& io,
                                     transport::link_owner owner) mutable {
        return transport::make_tls_link(io, std::move(fd), "127.0.0.1:7",
                                        core::crypto::tls_session::accept(server).value(), owner);
      }));
  return {std::move(theirs), core::crypto::tls_session::connect(client, "localhost").value()};
}

oap_client& OapRig::dial(int buffer_bytes, oap::session_settings mine) {
  auto socket = dial_socket(buffer_bytes);
  EXPECT_TRUE(socket.shake_hands());
  clients_.push_back(std::make_unique<oap_client>(std::move(socket), std::move(mine)));
  return *clients_.back();
}

bool OapRig::quiet(transport::ending how, std::uint64_t n) {
  return eventually([&] {
    return wire().endings.value(how) == n && wire().streams.value() == 0 && gate.slots == 0
           && requests().in_flight.value(transport::route::other) == 0;
  });
}

} // namespace ron::test
