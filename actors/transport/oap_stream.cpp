#include "transport/oap_stream.hpp"

#include "transport/oap_call.hpp"
#include "transport/oap_connection.hpp"
#include "transport/oap_exchange.hpp"

namespace ron::transport {

namespace {

/// Sets the timer that looks after the request's deadlines, unless one fires by `at`: that one is
/// set anew when it does. A slot serves thousands of requests in the time of one deadline, and CAF
/// keeps each timer until it fires.
void arm(oap_stream_self self, core::instant at) {
  auto& st = self->state;
  st.due = at;
  if (st.timer_at != core::instant{} && st.timer_at <= at)
    return;
  st.timer_at = at;
  self->delayed_send(self, core::timeout_until(at, st.service->clock().now()), atom::tick_v,
                     ++st.timer);
}

/// The timer fired.
void look_at_deadlines(oap_stream_self self) {
  auto& st = self->state;
  st.timer_at = {};
  auto x = st.current.lock();
  if (!x || st.answered)
    return;
  const auto now = st.service->clock().now();
  arm(self, now < st.due ? st.due : x->check(now));
}

/// The stream is over for us, and what it had to say is void: the slot is free for the next one.
void leave(oap_stream_self self) {
  auto& st = self->state;
  if (auto x = st.current.lock())
    x->cancel();
  st.current.reset();
  st.box->clear();
  st.box->corr = 0;
}

void refuse(oap_stream_self self, core::error why) {
  auto& st = self->state;
  if (auto reason = core::reject_reason_of(why.code))
    st.service->requests().rejected.add(*reason);
  emit(self, send_error{std::move(why)});
  st.answered = true;
}

// -- events --------------------------------------------------------------------------

void on(oap_stream_self self, oap::opened& e) {
  auto& st = self->state;
  leave(self); // a request that outlived its stream says nothing on this one
  st.box->corr = e.corr;
  st.box->announced = false;
  st.answered = false;
  const auto now = self->home().turn_time();
  auto c = call_of(e, *st.service, *st.settings, st.peer, st.ids, now);
  if (!c)
    return refuse(self, std::move(c.error()));
  const auto deadline = c->deadline;
  const auto* op = c->op;
  auto x = std::make_shared<oap_exchange>(self, std::move(*c), e.reply_objects);
  st.current = x;
  st.service->requests().begin(op);
  if (e.half_closed)
    x->body({.last = true});
  arm(self, deadline);
  st.service->gate().admit(x->request(), [x, op](core::result<admission> a) {
    if (!a)
      return x->fail(std::move(a.error()));
    x->admitted(std::move(*a));
    op->handle(x);
  });
}

void on(oap_stream_self self, oap::data& e) {
  auto& st = self->state;
  auto x = st.current.lock();
  if (x && !st.answered && (!e.bytes.empty() || e.raw_len != 0))
    x->body({.data = std::move(e.bytes), .raw_len = e.raw_len});
  else
    emit_consumed(self, 1); // nobody wants it any more
}

void on(oap_stream_self self, oap::ended&) {
  if (auto x = self->state.current.lock())
    x->body({.last = true});
}

void on(oap_stream_self self, oap::stream_error&) {
  leave(self);
}

template <class E>
void on(oap_stream_self, E&) {
  // nop: of the connection, not of a stream
}

} // namespace

void receive(oap_stream_self self, stream_input& in) {
  for (auto& e : in.events)
    std::visit([self](auto& x) { on(self, x); }, e);
}

void receive(oap_stream_self self, stream_room& room) {
  if (auto x = self->state.current.lock())
    x->offer_room(room.turn);
}

void announce(oap_stream_self self) {
  auto& st = self->state;
  if (std::exchange(st.box->announced, true))
    return;
  st.connection.hand(*st.box, [](oap_connection_self owner, const oap_outbox& box) {
    owner->state.connection->has_spoken(box.corr);
  });
}

void emit_consumed(oap_stream_self self, std::uint32_t frames) {
  self->state.box->consumed += frames;
  announce(self);
}

oap_stream_state::~oap_stream_state() {
  if (auto x = current.lock())
    x->cancel();
  if (!box)
    return;
  box->gone = true;
  if (box->corr != 0 && connection.is_here())
    connection.hand(*box, [](oap_connection_self owner, const oap_outbox& b) {
      owner->state.connection->has_spoken(b.corr);
    });
}

caf::behavior make_oap_stream(oap_stream_self self, oap_service_ptr service,
                              oap_settings_ptr settings,
                              core::port<oap_connection_self> connection,
                              std::shared_ptr<oap_outbox> box, link_info peer) {
  self->state.service = std::move(service);
  self->state.settings = std::move(settings);
  self->state.connection = std::move(connection);
  self->state.box = std::move(box);
  self->state.peer = std::move(peer);
  return {
      [self](atom::tick, std::uint64_t generation) {
        if (generation == self->state.timer)
          look_at_deadlines(self);
      },
      [self](atom::drain) {
        if (auto x = self->state.current.lock())
          x->drain();
      },
      [self](atom::stop) { self->quit(); },
  };
}

} // namespace ron::transport
