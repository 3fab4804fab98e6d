#include "connection.hpp"

#include "core/limits.hpp"
#include "tls_wire.hpp"

#include <poll.h>

#include <algorithm>

namespace ron::sdk {

using core::ec;
using core::fail;
using core::instant;
using core::result;

namespace {

instant now() {
  return std::chrono::steady_clock::now();
}

int poll_ms(instant deadline) {
  const auto left = core::remaining_ms(deadline, now());
  return static_cast<int>(std::min<std::uint64_t>(left + 1, 60'000));
}

} // namespace

result<std::unique_ptr<connection>> connection::open(const client_options& options) {
  const auto deadline = now() + options.connect_timeout;
  auto wire = options.dial ? options.dial(options, deadline) : dial_tls(options, deadline);
  if (!wire)
    return std::unexpected{wire.error()};
  oap::session_settings settings;
  settings.ua = "ron-sdk-cpp";
  settings.max_frame = core::limits::oap_frame_bytes_default;
  settings.ack_window = 32;
  settings.independent_streams = (*wire)->independent_streams();
  std::unique_ptr<connection> c{new connection(std::move(*wire), std::move(settings))};
  while (!c->session_.hello_received()) {
    auto events = c->step(deadline);
    if (!events)
      return std::unexpected{events.error()};
    if (c->session_.is_closed())
      return fail(ec::degraded, options.host + ':' + std::to_string(options.port)
                                  + " closed the connection during HELLO");
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
