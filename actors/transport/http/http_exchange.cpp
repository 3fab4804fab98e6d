#include "transport/http/http_exchange.hpp"

#include "core/json.hpp"
#include "transport/http/event_stream.hpp"

#include <utility>

namespace ron::http {

namespace {

/// What an operation may push before it asks again. The backlog bounds what waits for a caller.
constexpr std::uint32_t events_a_turn = 16;

} // namespace

http_exchange::http_exchange(exchange_host& host, core::any_actor* self, http::request r)
  : host_(&host), self_(self), request_(std::move(r)) {
  // nop
}

http_exchange::~http_exchange() {
  if (host_)
    host_->dropped(*this);
}

void http_exchange::read_body(body_handler then) {
  if (!host_)
    return;
  body_ = std::move(then);
  host_->enter([this] { host_->ask_body(*this); });
}

void http_exchange::reply(transport::answer a) {
  if (host_)
    host_->enter([&] { host_->send_answer(*this, std::move(a)); });
}

void http_exchange::fail(core::error e) {
  if (host_ && events_)
    return host_->enter([&] {
      host_->send_events_end(*this, error_event(e, request_.call.corr.text()), e.code);
    });
  if (host_)
    host_->enter([&] { host_->send_error(*this, std::move(e)); });
}

void http_exchange::begin(transport::object_head head) {
  if (!host_ || streaming_)
    return;
  streaming_ = true;
  host_->enter([&] { host_->send_object_head(*this, head); });
}

void http_exchange::write(core::bytes chunk, room_handler room) {
  if (!host_ || !streaming_)
    return;
  room_ = std::move(room);
  host_->enter([&] { host_->send_object_bytes(*this, std::move(chunk)); });
}

void http_exchange::finish() {
  if (host_ && streaming_)
    host_->enter([this] { host_->send_object_end(*this); });
}

void http_exchange::begin_events(core::json) {
  if (!host_ || streaming_ || events_)
    return;
  events_ = true;
  host_->enter([this] { host_->send_events_head(*this); });
}

void http_exchange::want_room(events_handler room) {
  if (!host_ || !events_)
    return;
  room_ = [then = std::move(room)]() mutable { then(events_a_turn); };
  host_->enter([this] { host_->ask_room(*this); });
}

void http_exchange::push(transport::event e) {
  if (host_ && events_)
    host_->enter([&] { host_->send_events(*this, event_lines(e)); });
}

void http_exchange::beat() {
  if (host_ && events_)
    host_->enter([this] { host_->send_events(*this, beat_lines); });
}

void http_exchange::drain(core::error why) {
  auto keep = weak_from_this().lock();
  auto told = std::exchange(cancel_, {});
  fail(std::move(why));
  if (told)
    told();
}

void http_exchange::on_cancel(std::function<void()> f) {
  if (host_)
    cancel_ = std::move(f);
}

void http_exchange::body(core::result<transport::body_chunk> r) {
  if (auto then = std::exchange(body_, {}))
    then(std::move(r));
}

bool http_exchange::room() {
  auto then = std::exchange(room_, {});
  if (then)
    then();
  return then != nullptr;
}

void http_exchange::leave() noexcept {
  host_ = nullptr;
  admission_.slot.reset();
  // They may hold the last references to us: let go of them at the end.
  auto b = std::exchange(body_, {});
  auto r = std::exchange(room_, {});
  auto c = std::exchange(cancel_, {});
}

void http_exchange::cancel(core::error why) {
  auto then = std::exchange(body_, {});
  auto told = std::exchange(cancel_, {});
  leave();
  if (then)
    then(std::unexpected{std::move(why)});
  if (told)
    told();
}

} // namespace ron::http
