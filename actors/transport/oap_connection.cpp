#include "transport/oap_connection.hpp"

#include "core/log.hpp"
#include "oap/reject.hpp"
#include "transport/oap_stream.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>

namespace ron::transport {

namespace {

/// While the link holds more than this, nothing is taken from the session: it refuses the streams.
constexpr std::size_t backlog_high = 256u << 10;

/// The stream an event belongs to; 0 for those of the connection.
struct corr_of {
  oap::corr_t operator()(const oap::opened& e) const {
    return e.corr;
  }
  oap::corr_t operator()(const oap::data& e) const {
    return e.corr;
  }
  oap::corr_t operator()(const oap::ended& e) const {
    return e.corr;
  }
  oap::corr_t operator()(const oap::stream_error& e) const {
    return e.corr;
  }
  template <class E>
  oap::corr_t operator()(const E&) const {
    return 0;
  }
};

} // namespace

oap_connection::oap_connection(oap_connection_self self, oap_service_ptr service,
                               oap_link_factory make_link, wire via)
    : self_(self), service_(std::move(service)), via_(via), line_(service_->settings().line, now()),
      timer_(self->home().io()) {
  link_ = make_link(self->home().io(), link_owner{self, *this});
  link_->start();
  arm();
}

oap_connection::~oap_connection() {
  end(ending::cut);
}

// -- the link ------------------------------------------------------------------------

void oap_connection::link_opened(const link_info& info) {
  info_ = info;
  info_.via = via_;
  auto settings = service_->settings().session;
  settings.alpn = info.alpn == "oap/1";
  settings.independent_streams = info.independent_streams;
  session_.emplace(oap::role::acceptor, std::move(settings));
  line_.opened();
  pump();
}

void oap_connection::link_read(core::bytes slice) {
  reading_ = false;
  const auto t = now();
  line_.received(slice.size(), t);
  if (line_.lingering())
    return settle();
  const auto before = frames_in();
  session_->on_bytes(std::move(slice), t);
  if (const auto frames = frames_in() - before; frames != 0)
    service_->wire().decode_seconds.observe((now() - t) / static_cast<std::int64_t>(frames));
  pump();
}

void oap_connection::link_read_end(bool clean) {
  reading_ = false;
  read_ended_ = true;
  line_.read_ended();
  if (line_.lingering())
    return settle();
  session_->on_eof(clean);
  pump();
}

void oap_connection::link_written() {
  if (!ended_)
    pump();
}

void oap_connection::link_breach(oap::reason why) {
  reading_ = false;
  if (line_.lingering())
    return settle();
  session_->close_with(why, oap::to_string(why));
  pump();
}

void oap_connection::link_partial() {
  settle(); // the clock of the frame begins
}

void oap_connection::link_failed(const core::error& why) {
  if (!session_)
    core::log::info("transport", "connection failed before it was open",
                    {{"peer", info_.peer}, {"reason", why.message}});
  if (session_ && !session_->is_closed()) {
    session_->on_eof(false);
    take_events();
    deliver();
  }
  end(line_.lingering() ? how_ : ending::broken);
}

// -- one turn ------------------------------------------------------------------------

void oap_connection::pump() {
  take_events();
  deliver();
  write_later();
}

/// Once, when all streams have had their turn.
void oap_connection::write_later() {
  self_->defer([this] {
    if (!ended_)
      write_out();
  });
}

void oap_connection::take_events() {
  log_rejects();
  while (session_->take_events(events_)) {
    for (auto& e : events_) {
      if (const auto corr = std::visit(corr_of{}, e); corr != 0) {
        happened(corr, std::move(e));
      } else if (const auto* more = std::get_if<oap::credit>(&e)) {
        if (auto s = slots_.find(more->corr); s != slots_.end()) {
          advance(more->corr, s->second);
          retire(more->corr); // this may have been its last frame
        }
      } else if (const auto* over = std::get_if<oap::closed>(&e)) {
        how_ = !over->local                     ? ending::clean
               : oap::is_reject(over->why)      ? ending::reject
               : over->why == oap::reason::none ? ending::clean
                                                : ending::cut;
      }
    }
  }
}

/// Keeps the event for the stream's next message.
void oap_connection::happened(oap::corr_t corr, oap::event e) {
  auto s = slots_.find(corr);
  if (s == slots_.end()) {
    if (!std::holds_alternative<oap::opened>(e))
      return; // of a stream whose actor is gone
    s = slots_.emplace(corr, slot{take_actor()}).first;
    service_->wire().streams.add();
  }
  if (s->second.events.empty())
    touched_.push_back(corr);
  s->second.events.push_back(std::move(e));
}

/// One message to each stream that something happened to.
void oap_connection::deliver() {
  for (const auto corr : touched_) {
    const auto found = slots_.find(corr);
    if (found == slots_.end())
      continue;
    auto& s = found->second;
    self_->send(s.actor, stream_input{corr, std::exchange(s.events, {}), std::exchange(s.room, 0)});
    retire(corr);
  }
  touched_.clear();
}

void oap_connection::from_stream(stream_output& out) {
  auto found = slots_.find(out.corr);
  if (found == slots_.end() || !session_)
    return; // the stream is over; nobody waits for this
  auto& s = found->second;
  progress how{s, out.corr, timed_now()};
  for (auto& item : out.items) {
    if (std::holds_alternative<send_error>(item) || std::holds_alternative<send_breach>(item))
      s.pending.clear(); // an ERROR does not wait behind what it makes void
    if (!s.pending.empty() || !give(how, item))
      s.pending.push_back(std::move(item));
  }
  settle_slot(how);
  retire(found);
  write_later();
}

/// Gives the session what waits of a stream's output, in order.
void oap_connection::advance(oap::corr_t corr, slot& s) {
  progress how{s, corr, timed_now()};
  while (!s.pending.empty() && give(how, s.pending.front()))
    s.pending.pop_front();
  settle_slot(how);
}

/// When framing begins, if this one is timed: a clock read costs as much as a small frame.
core::instant oap_connection::timed_now() const noexcept {
  constexpr std::uint32_t timed_one_in = 16;
  return advances_ % timed_one_in == 0 ? now() : core::instant{};
}

/// Gives the session one item of a stream's output; false if it takes it later.
bool oap_connection::give(progress& how, stream_item& item) {
  const auto corr = how.corr;
  if (auto* c = std::get_if<send_chunk>(&item)) {
    oap::send_options o;
    o.obj = c->obj ? &*c->obj : nullptr;
    o.total = c->total;
    o.end = c->end;
    o.push = c->push;
    o.status = c->status;
    const auto sent = session_->send(corr, c->data, o);
    if (sent == oap::send_status::would_block)
      return false;
    if (sent == oap::send_status::refused)
      session_->fail(corr, {core::ec::internal, "the node could not frame its answer"});
    ++how.freed;
  } else if (std::holds_alternative<want_turn>(item)) {
    how.turn = session_->ask_room(corr);
    if (how.turn == 0)
      return false;
  } else if (auto* last = std::get_if<send_end>(&item)) {
    session_->end(corr, last->status);
  } else if (auto* bad = std::get_if<send_error>(&item)) {
    session_->fail(corr, bad->why);
  } else if (auto* broken = std::get_if<send_breach>(&item)) {
    session_->breach(corr, broken->why);
  } else if (auto* n = std::get_if<send_consumed>(&item)) {
    session_->consumed(corr, n->frames);
  }
  how.moved = true;
  return true;
}

/// Notes what came of it: whether the stream waits, and what room it has.
void oap_connection::settle_slot(const progress& how) {
  // Fewer messages, and never a stream that waits: it has more chunks here than are owed.
  constexpr std::uint32_t owed_max = oap_stream_state::chunks_max / 2;
  auto& s = how.of;
  // A stream that has nothing to send is not blocked, however long it waits for credit.
  if (s.pending.empty() || std::holds_alternative<want_turn>(s.pending.front()))
    block(s, std::nullopt);
  else if (!s.blocked_since || how.moved)
    block(s, now());
  if (how.freed > 0) {
    ++advances_;
    if (how.began != core::instant{})
      service_->wire().encode_seconds.observe((now() - how.began) / how.freed);
    s.room += how.freed;
  }
  if (how.turn > 0 || s.room >= owed_max)
    self_->send(s.actor, stream_room{how.corr, std::exchange(s.room, 0), how.turn});
}

/// Frees the slot of a stream that the session knows no more.
void oap_connection::retire(oap::corr_t corr) {
  if (auto s = slots_.find(corr); s != slots_.end())
    retire(s);
}

void oap_connection::retire(slot_map::iterator s) {
  if (session_->is_open(s->first))
    return;
  block(s->second, std::nullopt);
  idle_.push_back({std::move(s->second.actor), now()});
  slots_.erase(s);
  service_->wire().streams.sub();
}

caf::actor oap_connection::take_actor() {
  if (idle_.empty())
    return core::spawn_here(self_, make_oap_stream, service_, caf::actor{self_}, info_);
  auto a = std::move(idle_.back().actor);
  idle_.pop_back();
  return a;
}

void oap_connection::write_out() {
  take_events(); // of what the streams have said
  while (link_->backlog() < backlog_high && session_->take(out_)) {
    count(); // whoever has an answer finds it in the metrics
    link_->write(out_);
    take_events(); // room in the session lets streams go on
  }
  count();
  deliver();
  if (session_->finished() && !line_.lingering() && session_->pending_bytes() == 0) {
    line_.finish(how_, now());
    link_->shutdown_write();
  }
  if (slots_.empty() && idle_.empty())
    session_->trim(); // as after HELLO: a connection may stay silent for long
  settle();
}

void oap_connection::read_on() {
  if (reading_ || read_ended_ || !session_)
    return;
  const bool lingers = line_.lingering();
  if (!lingers && (!session_->wants_read() || link_->backlog() >= backlog_high))
    return;
  reading_ = true;
  if (lingers)
    return link_->read();
  link_->read(session_->partial_bytes(), session_->missing_bytes());
}

// -- life ----------------------------------------------------------------------------

void oap_connection::drain() {
  if (ended_)
    return;
  if (!session_)
    return end(ending::cut);
  session_->drain();
  for (auto& [corr, s] : slots_)
    self_->send(s.actor, atom::drain_v);
  pump();
}

/// The end of every turn: tells the line how things are and does what it says.
void oap_connection::settle() {
  if (ended_)
    return;
  read_on();
  const auto t = now();
  line_.written(link_->backlog(), link_->bytes_out(), t);
  if (session_) {
    if (session_->hello_received())
      link_->settled();
    line_.look({.hello = session_->hello_received(),
                .partial = session_->partial_bytes() + link_->unfinished_bytes(),
                .frames = frames_in(),
                .streams = session_->open_streams(),
                .reading = reading_},
               t);
  }
  switch (line_.tick(t)) {
  case oap_line::order::end:
    return end(line_.how());
  case oap_line::order::retire:
    session_->drain(); // a START that crosses it is repeated elsewhere
    return pump();
  case oap_line::order::none:
    break;
  }
  trim_idle(t);
  if (blocked_ != 0 && t >= starve_at_)
    find_starved(t);
  if (t >= sweep_at_)
    end_stalled(t);
  arm();
}

/// Ends the streams whose answer the peer has not taken any of for a long time: what they hold
/// would stay for as long as the peer likes.
void oap_connection::end_stalled(core::instant t) {
  const auto patience = service_->settings().stall_timeout;
  sweep_at_ = t + patience / 4;
  for (auto& [corr, s] : slots_) {
    if (!s.blocked_since || t < *s.blocked_since + patience)
      continue;
    s.pending.clear();
    block(s, std::nullopt);
    session_->fail(corr, {core::ec::timeout, "the answer was not taken"});
    happened(corr, oap::stream_error{.corr = corr, .why = oap::reason::timeout, .local = true});
  }
  if (!touched_.empty())
    pump();
}

/// Notes that nothing of the stream's output moves `since` then, or that all of it did.
void oap_connection::block(slot& s, std::optional<core::instant> since) {
  if (std::exchange(s.starved, false))
    service_->wire().streams_starved.sub();
  if (since && !s.blocked_since && blocked_++ == 0)
    starve_at_ = std::max(starve_at_, *since + service_->settings().starved_after);
  if (!since && s.blocked_since)
    --blocked_;
  s.blocked_since = since;
}

/// Marks the streams whose answer has not moved for too long.
void oap_connection::find_starved(core::instant t) {
  const auto patience = service_->settings().starved_after;
  starve_at_ = t + patience / 4;
  for (auto& [corr, s] : slots_)
    if (s.blocked_since && !s.starved && t >= *s.blocked_since + patience) {
      s.starved = true;
      service_->wire().streams_starved.add();
    }
}

void oap_connection::end(ending how) {
  if (std::exchange(ended_, true))
    return;
  count();
  service_->wire().endings.add(how);
  timer_.cancel();
  link_->close();
  auto stop = [this](const caf::actor& a) {
    self_->template send<caf::message_priority::high>(a, atom::stop_v);
  };
  for (auto& [corr, s] : slots_) {
    block(s, std::nullopt);
    service_->wire().streams.sub();
    stop(s.actor);
  }
  for (auto& s : idle_)
    stop(s.actor);
  slots_.clear();
  idle_.clear();
  self_->quit();
}

void oap_connection::arm() {
  auto due = line_.wake_at();
  if (!idle_.empty()) {
    const auto trim = idle_.front().since + service_->settings().slot_idle;
    due = due ? std::min(*due, trim) : trim;
  }
  if (!slots_.empty())
    due = due ? std::min(*due, sweep_at_) : sweep_at_;
  if (blocked_ != 0)
    due = due ? std::min(*due, starve_at_) : starve_at_;
  if (!due || (armed_ && *armed_ <= *due))
    return;
  armed_ = due;
  timer_.expires_at(*due);
  timer_.async_wait(self_->bind([this](boost::system::error_code e) {
    if (e)
      return;
    armed_.reset();
    settle();
  }));
}

void oap_connection::trim_idle(core::instant t) {
  if (idle_.empty())
    return;
  const auto life = service_->settings().slot_idle;
  auto keep = std::ranges::find_if(idle_, [&](const idle_slot& s) { return t - s.since < life; });
  for (auto i = idle_.begin(); i != keep; ++i)
    self_->send(i->actor, atom::stop_v);
  idle_.erase(idle_.begin(), keep);
  if (idle_.empty() && slots_.empty() && session_)
    session_->trim();
}

// -- the actor -----------------------------------------------------------------------

caf::behavior make_oap_connection(oap_connection_self self, oap_service_ptr service,
                                  oap_link_factory make_link, wire via) {
  self->state.connection =
      std::make_unique<oap_connection>(self, std::move(service), std::move(make_link), via);
  return {
      [self](stream_output& out) { self->state.connection->from_stream(out); },
      [self](atom::drain) { self->state.connection->drain(); },
  };
}

caf::actor open_oap_connection(core::shard& where, oap_service_ptr service,
                               oap_link_factory make_link, wire via) {
  return core::spawn_on(where, {}, make_oap_connection, std::move(service), std::move(make_link),
                        via);
}

} // namespace ron::transport
