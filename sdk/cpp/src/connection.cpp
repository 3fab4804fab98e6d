#include "connection.hpp"

#include "core/limits.hpp"
#include "dial.hpp"
#include "socket_wire.hpp"
#include "tls_wire.hpp"

#include <poll.h>

namespace ron::sdk {

using core::ec;
using core::fail;
using core::instant;
using core::result;

namespace {

instant now() {
  return std::chrono::steady_clock::now();
}

} // namespace

oap::session_settings connection::usual_settings() {
  oap::session_settings settings;
  settings.ua = "ron-sdk-cpp";
  settings.max_frame = core::limits::oap_frame_bytes_default;
  settings.ack_window = 32;
  settings.features = {"x1"};
  return settings;
}

result<std::unique_ptr<connection>> connection::open(const client_options& options,
                                                     oap::session_settings settings) {
  const auto deadline =
    now() + (options.socks.empty() ? options.connect_timeout : options.tor_timeout);
  auto dial = options.dial ? options.dial : is_onion(options) ? dial_onion : dial_tls;
  auto wire = dial(options, deadline);
  if (!wire)
    return std::unexpected{wire.error()};
  settings.alpn = (*wire)->has_alpn();
  settings.independent_streams = (*wire)->independent_streams();
  std::unique_ptr<connection> c{new connection(std::move(*wire), std::move(settings))};
  while (!c->wire_->is_early() && !c->session_.hello_received()) {
    auto events = c->step(deadline);
    if (!events)
      return std::unexpected{events.error()};
    if (c->session_.is_closed())
      return fail(ec::degraded, where(options) + " closed the connection during HELLO");
  }
  return c;
}

result<oap::events> connection::step(instant deadline) {
  oap::events out;
  while (true) {
    plain_.clear();
    if (session_.take(plain_))
      if (auto ok = wire_->send(plain_, deadline); !ok)
        return std::unexpected{ok.error()};
    if (session_.take_events(out))
      return out;
    if (session_.pending_bytes() > 0)
      continue;
    if (auto ok = receive(deadline); !ok)
      return std::unexpected{ok.error()};
  }
}

result<void> connection::receive(instant deadline) {
  auto got = wire_->receive(deadline);
  if (!got)
    return std::unexpected{got.error()};
  for (auto& slice : got->slices)
    session_.on_bytes(std::move(slice), now());
  if (!got->ended)
    return {};
  if (session_.is_closed())
    return fail(ec::degraded, "the node closed the connection");
  session_.on_eof(got->clean);
  return {};
}

void connection::pace() {
  constexpr std::chrono::milliseconds window{1'000};
  auto t = now();
  if (opened_ >= session_.limits().max_streams && t < window_ + window) {
    ::poll(nullptr, 0, poll_ms(window_ + window));
    t = now();
  }
  if (t >= window_ + window) {
    window_ = t;
    opened_ = 0;
  }
  ++opened_;
}

} // namespace ron::sdk
