#include "transport/quic/client.hpp"

#include "core/ids.hpp"
#include "core/replay_safe.hpp"
#include "transport/unique_fd.hpp"

#include <poll.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace ron::transport::quic {

using core::ec;
using core::fail;
using core::instant;
using core::result;

namespace {

constexpr std::size_t socket_bytes = 4u << 20;
constexpr std::size_t id_bytes = 8;
constexpr std::uint64_t no_application_protocol = 0x100 + 120; // RFC 9001, 4.8 and 8.1

instant now() {
  return std::chrono::steady_clock::now();
}

} // namespace

client::client(unique_fd socket, const address& remote)
    : socket_(std::move(socket)), path_{socket_.local(), remote, 0},
      buffer_(connection::burst_max) {
  // nop
}

client::~client() {
  if (!connection_)
    return;
  connection_->close(0);
  flush();
}

connection_id client::make_id(connection&, reset_token& token) {
  connection_id id;
  id.size = id_bytes;
  core::random_bytes({id.bytes.data(), id.size});
  core::random_bytes(token);
  return id;
}

void client::retire_id(const connection_id&) {
  // nop: the socket has one connection, nobody looks it up
}

result<std::unique_ptr<client>> client::dial(const connection_settings& settings,
                                             const core::crypto::tls_context& tls,
                                             const std::string& host, std::uint16_t port,
                                             std::uint32_t frame_max, instant deadline,
                                             const resumption& from) {
  const auto where = host + ':' + std::to_string(port);
  auto addresses = resolve(host, port);
  if (!addresses)
    return fail(ec::degraded, "cannot connect to " + addresses.error().message);
  core::error why{ec::degraded, "cannot connect to " + where + ": no address"};
  for (const auto& remote : *addresses) {
    auto socket = open_udp(remote, socket_bytes);
    if (!socket) {
      why = socket.error();
      continue;
    }
    std::unique_ptr<client> made{new client(std::move(*socket), remote)};
    auto ok = made->shake_hands(settings, tls, host, frame_max, deadline, from);
    if (ok)
      return made;
    why = ok.error();
    if (why.code != ec::degraded)
      break;
  }
  why.message = "cannot connect to " + where + " over QUIC: " + why.message;
  return std::unexpected{why};
}

result<void> client::shake_hands(const connection_settings& settings,
                                 const core::crypto::tls_context& tls, const std::string& host,
                                 std::uint32_t frame_max, instant deadline,
                                 const resumption& from) {
  auto made = connection::connect(settings, tls, host, path_, *this, now(), from);
  if (!made)
    return std::unexpected{made.error()};
  connection_ = std::move(*made);
  lanes_.emplace(side::client, *connection_, frame_max);
  connection_->set_events(*lanes_);
  if (connection_->early()) {
    static const auto safe = std::make_shared<const std::vector<std::string>>(
      std::begin(core::replay_safe_operations), std::end(core::replay_safe_operations));
    lanes_->run_early(safe);
  }
  while (connection_->state() == connection::phase::handshake && !connection_->early())
    if (!turn(deadline))
      return fail(ec::degraded, "no answer; is the node running, and does it listen there "
                                "(oap.quic-address)?");
  if (!is_open())
    return std::unexpected{why_over()};
  return {};
}

core::error client::why_over() const {
  const auto& why = connection_->ending();
  if (why.text.starts_with("the peer's certificate"))
    return {ec::unauth, "QUIC handshake: " + why.text};
  if (why.by_peer && !why.application && why.code == no_application_protocol)
    return {ec::degraded, "it does not speak OAP/1 there"};
  return {ec::degraded, "the connection was lost: " + why.text};
}

void client::flush() {
  path to;
  std::size_t segment = 0;
  while (const auto n = connection_->produce(buffer_, now(), to, segment))
    if (socket_.send(to, {buffer_.data(), n}, segment) == udp_socket::outcome::full)
      return; // as good as lost
}

bool client::poll() {
  const auto t = now();
  return static_cast<bool>(socket_.receive(
    [this, t](const path& from, core::byte_view datagram) {
      path_.ecn = from.ecn;
      connection_->on_datagram(path_, datagram, t);
    },
    1)); // the peer waits for acknowledgements: its window is small where the way is short
}

bool client::turn(instant until) {
  flush();
  const auto t = now();
  if (t >= until)
    return false;
  const auto wake = std::min(until, connection_->wake_at().value_or(until));
  const auto left = std::max(wake - t, instant::duration{});
  const timespec wait{static_cast<time_t>(left / std::chrono::seconds{1}),
                      static_cast<long>((left % std::chrono::seconds{1}).count())};
  pollfd p{socket_.fd(), POLLIN, 0};
  if (::ppoll(&p, 1, &wait, nullptr) > 0)
    poll();
  if (const auto due = connection_->wake_at(); due && *due <= now())
    connection_->on_timer(now());
  flush();
  return true;
}

} // namespace ron::transport::quic
