#include "transport/oap_stream.hpp"

#include "transport/oap_call.hpp"
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

/// The stream is over for us: the slot is free for the next one.
void leave(oap_stream_self self) {
  auto& st = self->state;
  if (auto x = st.current.lock())
    x->cancel();
  st.current.reset();
  st.corr = 0;
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
  flush_output(self); // what the stream before left belongs to its corr
  leave(self);        // a request that outlived its stream says nothing on this one
  st.corr = e.corr;
  st.chunks_out = 0;
  st.answered = false;
  const auto now = st.service->clock().now();
  auto c = call_of(e, *st.service, st.peer, st.ids, now);
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
    emit(self, send_consumed{1}); // nobody wants it any more
}

void on(oap_stream_self self, oap::ended&) {
  if (auto x = self->state.current.lock())
    x->body({.last = true});
}

void on(oap_stream_self self, oap::stream_error&) {
  leave(self);
}

/// `chunks` of what the stream `corr` gave are with the session now; the peer takes `turn` events.
void take_room(oap_stream_self self, oap::corr_t corr, std::uint32_t chunks,
               std::uint32_t turn = 0) {
  auto& st = self->state;
  if ((chunks == 0 && turn == 0) || corr != st.corr)
    return;
  st.chunks_out -= std::min(chunks, st.chunks_out);
  if (auto x = st.current.lock())
    x->offer_room(turn);
}

template <class E>
void on(oap_stream_self, E&) {
  // nop: of the connection, not of a stream
}

} // namespace

void flush_output(oap_stream_self self) {
  auto& st = self->state;
  if (st.out.items.empty())
    return;
  st.out.corr = st.corr;
  self->send(st.connection, std::exchange(st.out, {}));
}

oap_stream_state::~oap_stream_state() {
  if (auto x = current.lock())
    x->cancel();
}

caf::behavior make_oap_stream(oap_stream_self self, oap_service_ptr service, caf::actor connection,
                              link_info peer) {
  self->state.service = std::move(service);
  self->state.connection = std::move(connection);
  self->state.peer = std::move(peer);
  return {
      [self](stream_input& in) {
        take_room(self, in.corr, in.room);
        for (auto& e : in.events)
          std::visit([self](auto& x) { on(self, x); }, e);
      },
      [self](const stream_room& room) { take_room(self, room.corr, room.chunks, room.turn); },
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
