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
  oap::corr_t operator()(const oap::opened& e) const { return e.corr; }
  oap::corr_t operator()(const oap::data& e) const { return e.corr; }
  oap::corr_t operator()(const oap::ended& e) const { return e.corr; }
  oap::corr_t operator()(const oap::stream_error& e) const { return e.corr; }
  template <class E>
  oap::corr_t operator()(const E&) const {
    return 0;
  }
};

} // namespace

oap_connection::oap_connection(oap_connection_self self, oap_service_ptr service,
                               oap_link_factory make_link)
  : self_(self), service_(std::move(service)), timer_(self->home().io()) {
  opened_at_ = last_bytes_ = now();
  link_ = make_link(self->home().io(), link_owner{self, *this});
  arm(opened_at_ + service_->settings().handshake_timeout);
  link_->start();
}

oap_connection::~oap_connection() {
  end(ending::cut);
}

// -- the link ------------------------------------------------------------------------

void oap_connection::link_opened(const link_info& info) {
  info_ = info;
  auto settings = service_->settings().session;
  settings.alpn = info.alpn == "oap/1";
  session_.emplace(oap::role::acceptor, std::move(settings));
  opened_at_ = last_bytes_ = now();
  arm(opened_at_ + service_->settings().read_timeout);
  pump();
}

void oap_connection::link_read(core::bytes slice) {
  reading_ = false;
  last_bytes_ = now();
  if (closing_) {
    discarded_ += slice.size(); // read on, or a reset would eat our ERROR
    if (discarded_ > service_->settings().discard_max)
      return end(how_);
    return read_on();
  }
  session_->on_bytes(std::move(slice), last_bytes_);
  pump();
}

void oap_connection::link_read_end(bool clean) {
  reading_ = false;
  read_ended_ = true;
  if (closing_)
    return end(how_);
  session_->on_eof(clean);
  pump();
}

void oap_connection::link_written() {
  if (ended_)
    return;
  if (closing_ && read_ended_ && link_->backlog() == 0)
    return end(how_);
  pump();
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
  end(ending::broken);
}

// -- one turn ------------------------------------------------------------------------

void oap_connection::pump() {
  take_events();
  deliver();
  self_->defer([this] {
    if (!ended_)
      write_out();
  });
}

void oap_connection::take_events() {
  while (session_->take_events(events_)) {
    for (auto& e : events_) {
      if (const auto corr = std::visit(corr_of{}, e); corr != 0) {
        batches_[corr].push_back(std::move(e));
      } else if (const auto* more = std::get_if<oap::credit>(&e)) {
        if (auto s = slots_.find(more->corr); s != slots_.end())
          advance(more->corr, s->second);
      } else if (const auto* over = std::get_if<oap::closed>(&e)) {
        how_ = !over->local                    ? ending::clean
               : oap::is_reject(over->why)     ? ending::reject
               : over->why == oap::reason::none ? ending::clean
                                                : ending::cut;
        if (oap::is_reject(over->why))
          core::log::info("oap", "connection rejected",
                          {{"peer", info_.peer}, {"reason", oap::to_string(over->why)}});
      }
    }
  }
}

/// One message to each stream that something happened to.
void oap_connection::deliver() {
  for (auto& [corr, events] : batches_) {
    auto s = slots_.find(corr);
    if (s == slots_.end()) {
      if (!std::holds_alternative<oap::opened>(events.front()))
        continue; // of a stream whose actor is gone
      s = slots_.emplace(corr, slot{take_actor(), {}}).first;
      service_->wire().streams.add();
    }
    self_->send(s->second.actor, stream_input{corr, std::move(events)});
    retire(corr);
  }
  batches_.clear();
}

void oap_connection::from_stream(stream_output& out) {
  auto s = slots_.find(out.corr);
  if (s == slots_.end() || !session_)
    return; // the stream is over; nobody waits for this
  for (auto& item : out.items)
    s->second.pending.push_back(std::move(item));
  advance(out.corr, s->second);
  retire(out.corr);
  pump();
}

/// Gives the session what it takes of a stream's output, in order.
void oap_connection::advance(oap::corr_t corr, slot& s) {
  std::uint32_t freed = 0;
  while (!s.pending.empty()) {
    auto& item = s.pending.front();
    if (auto* c = std::get_if<send_chunk>(&item)) {
      oap::send_options o;
      o.obj = c->obj ? &*c->obj : nullptr;
      o.total = c->total;
      o.end = c->end;
      o.status = c->status;
      const auto how = session_->send(corr, c->data, o);
      if (how == oap::send_status::would_block)
        break;
      if (how == oap::send_status::refused)
        session_->fail(corr, {core::ec::internal, "the node could not frame its answer"});
      ++freed;
    } else if (auto* last = std::get_if<send_end>(&item)) {
      session_->end(corr, last->status);
    } else if (auto* bad = std::get_if<send_error>(&item)) {
      session_->fail(corr, bad->why);
    } else if (auto* n = std::get_if<send_consumed>(&item)) {
      session_->consumed(corr, n->frames);
    }
    s.pending.pop_front();
  }
  if (freed > 0)
    self_->send(s.actor, stream_room{corr, freed});
}

/// Frees the slot of a stream that the session knows no more.
void oap_connection::retire(oap::corr_t corr) {
  auto s = slots_.find(corr);
  if (s == slots_.end() || session_->is_open(corr))
    return;
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
  count();
  while (link_->backlog() < backlog_high && session_->take(out_)) {
    link_->write(out_);
    take_events(); // room in the session lets streams go on
  }
  deliver();
  if (session_->finished() && !closing_ && session_->pending_bytes() == 0)
    return begin_close();
  read_on();
}

void oap_connection::read_on() {
  if (reading_ || read_ended_ || ended_)
    return;
  if (!closing_ && (!session_->wants_read() || link_->backlog() >= backlog_high))
    return;
  reading_ = true;
  link_->read(closing_ ? 0 : session_->partial_bytes());
}

// -- life ----------------------------------------------------------------------------

void oap_connection::drain() {
  if (ended_)
    return;
  if (!session_)
    return end(ending::cut);
  session_->drain();
  pump();
}

void oap_connection::begin_close() {
  closing_ = true;
  discard_until_ = now() + service_->settings().discard_timeout;
  link_->shutdown_write();
  if (read_ended_ && link_->backlog() == 0)
    return end(how_);
  arm(discard_until_);
  read_on();
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
    service_->wire().streams.sub();
    stop(s.actor);
  }
  for (auto& s : idle_)
    stop(s.actor);
  slots_.clear();
  idle_.clear();
  self_->quit();
}

void oap_connection::arm(core::instant at) {
  timer_.expires_at(at);
  timer_.async_wait(self_->bind([this](boost::system::error_code e) {
    if (!e && !ended_)
      look_at_deadlines();
  }));
}

void oap_connection::look_at_deadlines() {
  const auto t = now();
  const auto& limits = service_->settings();
  if (!session_)
    return end(ending::timeout); // the TLS handshake
  if (closing_)
    return t >= discard_until_ ? end(how_) : arm(discard_until_);
  trim_idle(t);
  auto next = t + limits.idle_timeout;
  if (!session_->hello_received()) {
    next = opened_at_ + limits.read_timeout;
    if (t >= next)
      return end(ending::timeout);
  } else if (session_->partial_bytes() > 0) {
    next = last_bytes_ + limits.read_timeout;
    if (t >= next)
      return end(ending::timeout);
  } else if (session_->open_streams() == 0) {
    next = last_bytes_ + limits.idle_timeout;
    if (t >= next)
      return end(ending::timeout);
  }
  if (!idle_.empty())
    next = std::min(next, idle_.front().since + limits.slot_idle);
  arm(std::max(next, t + std::chrono::milliseconds{10}));
}

void oap_connection::trim_idle(core::instant t) {
  const auto life = service_->settings().slot_idle;
  auto keep = std::ranges::find_if(idle_, [&](const idle_slot& s) { return t - s.since < life; });
  for (auto i = idle_.begin(); i != keep; ++i)
    self_->send(i->actor, atom::stop_v);
  idle_.erase(idle_.begin(), keep);
  if (idle_.empty() && slots_.empty())
    session_->trim();
}

/// Exports what the session has counted since the last time.
void oap_connection::count() {
  if (!session_)
    return;
  auto& m = service_->wire();
  const auto& c = session_->counters();
  for (std::size_t i = 0; i < oap::bucket_count; ++i)
    m.rejects.add_n(c.rejects[i] - counted_.rejects[i], static_cast<oap::bucket>(i));
  for (std::size_t i = 0; i < oap::kind_count; ++i) {
    m.frames.add_n(c.frames_in[i] - counted_.frames_in[i], static_cast<oap::kind>(i));
    m.frames_out.add_n(c.frames_out[i] - counted_.frames_out[i], static_cast<oap::kind>(i));
  }
  m.streams_total.add_n(c.streams - counted_.streams);
  m.starts_refused.add_n(c.starts_refused - counted_.starts_refused);
  m.window_stalls.add_n(c.window_stalls - counted_.window_stalls);
  counted_ = c;
}

// -- the actor -----------------------------------------------------------------------

caf::behavior make_oap_connection(oap_connection_self self, oap_service_ptr service,
                                  oap_link_factory make_link) {
  self->state.connection
    = std::make_unique<oap_connection>(self, std::move(service), std::move(make_link));
  return {
    [self](stream_output& out) { self->state.connection->from_stream(out); },
    [self](atom::drain) { self->state.connection->drain(); },
  };
}

caf::actor open_oap_connection(core::shard& where, oap_service_ptr service,
                               oap_link_factory make_link) {
  return core::spawn_on(where, {}, make_oap_connection, std::move(service), std::move(make_link));
}

} // namespace ron::transport
