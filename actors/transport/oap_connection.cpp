#include "transport/oap_connection.hpp"

#include "core/log.hpp"
#include "oap/reject.hpp"

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
                               oap_settings_ptr settings, oap_link_factory make_link, wire via)
    : self_(self), service_(std::move(service)), settings_(std::move(settings)), via_(via),
      line_(settings_->line, now()), timer_(self->home().io()) {
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
  auto settings = settings_->session;
  settings.alpn = info.alpn == "oap/1";
  settings.independent_streams = info.independent_streams;
  session_.emplace(oap::role::acceptor, std::move(settings));
  line_.opened(info.independent_streams);
  write_soon(); // HELLO leaves with the last of the handshake
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
  hand_out();
}

/// Hands out what a read brought. If all who got something have spoken, there is nothing to wait
/// for: it is written while it is in the cache.
void oap_connection::hand_out() {
  collecting_ = true;
  silent_ = false;
  take_events();
  collecting_ = false;
  if (silent_)
    write_later();
  else
    write_soon();
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
  }
  end(line_.lingering() ? how_ : ending::broken);
}

// -- one turn ------------------------------------------------------------------------

void oap_connection::pump() {
  take_events();
  write_later();
}

/// Now, but not on a link of datagrams, which gathers those of many connections.
void oap_connection::write_soon() {
  if (info_.independent_streams)
    write_later();
  else
    write_out();
}

/// Once, when all streams have had their turn.
void oap_connection::write_later() {
  self_->defer([this] {
    if (!ended_)
      write_out();
  });
}

/// Hands every stream what happened to it, a run of events at a time; lets those go on that may.
void oap_connection::take_events() {
  log_rejects();
  while (session_->take_events(events_)) {
    for (std::size_t i = 0, after = 0; i < events_.size(); i = after) {
      const auto corr = std::visit(corr_of{}, events_[i]);
      after = i + 1;
      if (corr != 0) {
        while (after < events_.size() && std::visit(corr_of{}, events_[after]) == corr)
          ++after;
        happened(corr, {events_.data() + i, after - i});
      } else if (const auto* more = std::get_if<oap::credit>(&events_[i])) {
        advance(more->corr);
      } else if (const auto* over = std::get_if<oap::closed>(&events_[i])) {
        how_ = !over->local                     ? ending::clean
               : oap::is_reject(over->why)      ? ending::reject
               : over->why == oap::reason::none ? ending::clean
                                                : ending::cut;
      }
    }
  }
}

void oap_connection::happened(oap::corr_t corr, std::span<oap::event> events) {
  auto* const found = open_.find(corr);
  if (!found && !std::holds_alternative<oap::opened>(events.front()))
    return; // of a stream whose actor is gone
  auto& s = found ? **found : occupy(corr);
  const auto* const end = std::get_if<oap::ended>(&events.back());
  const bool over = end ? end->closed : std::holds_alternative<oap::stream_error>(events.back());
  stream_input in{events};
  if (!s.actor.hand(in, [](oap_stream_self it, stream_input& x) { receive(it, x); })) {
    s.box->gone = true; // `listen` ends the stream
    return has_spoken(corr);
  }
  silent_ |= !s.box->announced;
  if (over)
    retire(s);
}

void oap_connection::has_spoken(oap::corr_t corr) {
  speaking_.push_back(corr);
  if (!collecting_)
    write_later();
}

void oap_connection::write_out() {
  listen();
  take_events(); // of what the streams have said
  while (link_->backlog() < backlog_high && session_->take(out_)) {
    count(); // whoever has an answer finds it in the metrics
    link_->write(out_);
    take_events(); // room in the session lets streams go on
  }
  count();
  if (session_->finished() && !line_.lingering() && session_->pending_bytes() == 0) {
    line_.finish(how_, now());
    link_->shutdown_write();
  }
  if (slots_.empty())
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
  for (const auto& s : slots_)
    if (s->corr != 0)
      self_->send(s->actor.handle(), atom::drain_v);
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

void oap_connection::end(ending how) {
  if (std::exchange(ended_, true))
    return;
  count();
  service_->wire().endings.add(how);
  timer_.cancel();
  link_->close();
  for (const auto& s : slots_) {
    if (s->corr != 0) {
      block(*s, std::nullopt);
      service_->wire().streams.sub();
    }
    self_->send<caf::message_priority::high>(s->actor.handle(), atom::stop_v);
  }
  open_ = {};
  idle_.clear();
  slots_.clear();
  self_->quit();
}

void oap_connection::arm() {
  auto due = line_.wake_at();
  if (!idle_.empty()) {
    const auto trim = idle_.front()->idle_since + settings_->slot_idle;
    due = due ? std::min(*due, trim) : trim;
  }
  if (open_.size() != 0)
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

// -- the actor -----------------------------------------------------------------------

caf::behavior make_oap_connection(oap_connection_self self, oap_service_ptr service,
                                  oap_settings_ptr settings, oap_link_factory make_link, wire via) {
  self->state.connection = std::make_unique<oap_connection>(
      self, std::move(service), std::move(settings), std::move(make_link), via);
  return {
      [self](atom::drain) { self->state.connection->drain(); },
  };
}

caf::actor open_oap_connection(core::shard& where, oap_service_ptr service,
                               oap_link_factory make_link, wire via, oap_settings_ptr settings) {
  if (!settings)
    settings = service->settings();
  return core::spawn_on(where, {}, make_oap_connection, std::move(service), std::move(settings),
                        std::move(make_link), via);
}

} // namespace ron::transport
