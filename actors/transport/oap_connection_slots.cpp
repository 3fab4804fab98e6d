// The slots of an OAP connection: what their streams say, whether it moves, which are idle.
#include "transport/oap_connection.hpp"

#include <algorithm>
#include <span>

namespace ron::transport {

// -- what streams say ----------------------------------------------------------------

/// Takes what lies in the boxes. What the streams say meanwhile is for the next turn, so that one
/// that always has more to say does not keep the shard.
void oap_connection::listen() {
  constexpr std::uint32_t timed_one_in = 16; // a clock read costs as much as a small frame
  const auto began = turns_ % timed_one_in == 0 ? now() : core::instant{};
  std::uint32_t chunks = 0;
  heard_.swap(speaking_);
  for (const auto corr : heard_) {
    auto* const found = open_.find(corr);
    if (!found)
      continue; // the stream is over; nobody waits for this
    auto& s = **found;
    s.box->announced = false;
    progress how;
    take_from(s, how);
    chunks += how.freed;
    if (s.box->gone && s.corr == corr)
      lose(s);
  }
  heard_.clear();
  if (chunks == 0)
    return;
  ++turns_;
  if (began != core::instant{})
    service_->wire().encode_seconds.observe((now() - began) / chunks);
}

/// Gives the session what the stream has said, in order, as far as it takes it.
void oap_connection::take_from(slot& s, progress& how) {
  auto& box = *s.box;
  if (box.consumed != 0)
    session_->consumed(s.corr, std::exchange(box.consumed, 0));
  const auto makes_void = [](const stream_item& x) {
    return std::holds_alternative<send_error>(x) || std::holds_alternative<send_breach>(x);
  };
  while (box.taken < box.items.size()) {
    if (s.waits || !give(s, box.items[box.taken], how)) {
      const auto rest = std::span{box.items}.subspan(box.taken);
      const auto last = std::ranges::find_if(rest, makes_void);
      s.waits = last == rest.end();
      if (s.waits)
        break;
      box.taken += static_cast<std::size_t>(last - rest.begin()); // an ERROR waits for nothing
      continue;
    }
    ++box.taken;
    how.moved = true;
  }
  if (box.taken == box.items.size()) {
    box.items.clear();
    box.taken = 0;
  }
  box.chunks -= std::min(how.freed, box.chunks);
  settle_slot(s, how);
}

/// Gives the session one item of a stream's output; false if it takes it later.
bool oap_connection::give(slot& s, stream_item& item, progress& how) {
  if (auto* c = std::get_if<send_chunk>(&item)) {
    oap::send_options o;
    o.obj = c->obj ? &*c->obj : nullptr;
    o.total = c->total;
    o.end = c->end;
    o.push = c->push;
    o.status = c->status;
    const auto sent = session_->send(s.corr, c->data, o);
    if (sent == oap::send_status::would_block)
      return false;
    if (sent == oap::send_status::refused)
      session_->fail(s.corr, {core::ec::internal, "the node could not frame its answer"});
    how.over |= c->end || sent != oap::send_status::sent;
    ++how.freed;
  } else if (std::holds_alternative<want_turn>(item)) {
    how.turn = session_->ask_room(s.corr);
    if (how.turn == 0)
      return false;
  } else if (auto* last = std::get_if<send_end>(&item)) {
    session_->end(s.corr, last->status);
    how.over = true;
  } else if (auto* bad = std::get_if<send_error>(&item)) {
    session_->fail(s.corr, bad->why);
    how.over = true;
  } else if (auto* broken = std::get_if<send_breach>(&item)) {
    session_->breach(s.corr, broken->why);
    how.over = true;
  }
  return true;
}

/// Notes what came of it: whether the stream waits, what room it has, whether it is over.
void oap_connection::settle_slot(slot& s, const progress& how) {
  const auto& box = *s.box;
  // A stream that has nothing to send is not blocked, however long it waits for credit.
  if (box.items.empty() || std::holds_alternative<want_turn>(box.items[box.taken]))
    block(s, std::nullopt);
  else if (!s.blocked_since || how.moved)
    block(s, now());
  if (how.over && !session_->is_open(s.corr))
    return vacate(s);
  stream_room room{how.turn};
  if (how.turn != 0 || (how.freed != 0 && box.wants_room))
    if (!s.actor.hand(room, [](oap_stream_self it, stream_room& r) { receive(it, r); }))
      has_spoken(s.corr);
}

/// The peer takes more of a stream that waited.
void oap_connection::advance(oap::corr_t corr) {
  auto* const found = open_.find(corr);
  if (!found)
    return;
  (*found)->waits = false;
  progress how;
  take_from(**found, how);
}

// -- whom they serve -----------------------------------------------------------------

/// Frees the slot of a stream that the session knows no more.
void oap_connection::retire(slot& s) {
  if (!session_->is_open(s.corr))
    vacate(s);
}

/// The slot serves no stream any more.
void oap_connection::vacate(slot& s) {
  block(s, std::nullopt);
  open_.erase(std::exchange(s.corr, 0));
  s.waits = false;
  s.idle_since = self_->home().turn_time();
  idle_.push_back(&s);
  service_->wire().streams.sub();
}

/// The actor has ended, and not because it was told to: so does its stream, and nothing else.
void oap_connection::lose(slot& s) {
  session_->fail(s.corr, {core::ec::internal, "the actor of the stream has failed"});
  vacate(s);
  drop_idle();
}

/// Forgets the slot that became idle last.
void oap_connection::drop_idle() {
  auto* const dead = idle_.back();
  idle_.pop_back();
  std::erase_if(slots_, [dead](const auto& s) { return s.get() == dead; });
}

/// An idle slot, or a new one, for the stream.
oap_connection::slot& oap_connection::occupy(oap::corr_t corr) {
  while (!idle_.empty() && idle_.back()->box->gone)
    drop_idle();
  slot* s = nullptr;
  if (idle_.empty()) {
    auto box = std::make_shared<oap_outbox>();
    auto actor = core::spawn_port(self_, make_oap_stream, service_, settings_, core::port{self_},
                                  box, info_);
    s = slots_.emplace_back(std::make_unique<slot>(std::move(actor), std::move(box))).get();
  } else {
    s = idle_.back();
    idle_.pop_back();
  }
  s->corr = corr;
  open_.insert(corr, s);
  service_->wire().streams.add();
  return *s;
}

void oap_connection::trim_idle(core::instant t) {
  if (idle_.empty())
    return;
  const auto life = settings_->slot_idle;
  auto keep = std::ranges::find_if(idle_, [&](const slot* s) { return t - s->idle_since < life; });
  if (keep == idle_.begin())
    return;
  for (auto i = idle_.begin(); i != keep; ++i)
    self_->send((*i)->actor.handle(), atom::stop_v);
  idle_.erase(idle_.begin(), keep);
  std::erase_if(slots_, [&](const auto& s) { return s->corr == 0 && t - s->idle_since >= life; });
  if (!slots_.empty())
    return;
  open_.trim();
  if (session_)
    session_->trim();
}

// -- those that do not move ----------------------------------------------------------

/// Ends the streams whose answer the peer has not taken any of for a long time: what they hold
/// would stay for as long as the peer likes.
void oap_connection::end_stalled(core::instant t) {
  const auto patience = settings_->stall_timeout;
  sweep_at_ = t + patience / 4;
  std::vector<oap::corr_t> stalled;
  for (const auto& s : slots_) {
    if (!s->blocked_since || t < *s->blocked_since + patience)
      continue;
    block(*s, std::nullopt);
    session_->fail(s->corr, {core::ec::timeout, "the answer was not taken"});
    stalled.push_back(s->corr);
  }
  for (const auto corr : stalled) {
    oap::event e{oap::stream_error{.corr = corr, .why = oap::reason::timeout, .local = true}};
    happened(corr, {&e, 1});
  }
  if (!stalled.empty())
    write_later();
}

/// Notes that nothing of the stream's output moves `since` then, or that all of it did.
void oap_connection::block(slot& s, std::optional<core::instant> since) {
  if (std::exchange(s.starved, false))
    service_->wire().streams_starved.sub();
  if (since && !s.blocked_since && blocked_++ == 0)
    starve_at_ = std::max(starve_at_, *since + settings_->starved_after);
  if (!since && s.blocked_since)
    --blocked_;
  s.blocked_since = since;
}

/// Marks the streams whose answer has not moved for too long.
void oap_connection::find_starved(core::instant t) {
  const auto patience = settings_->starved_after;
  starve_at_ = t + patience / 4;
  for (const auto& s : slots_)
    if (s->blocked_since && !s->starved && t >= *s->blocked_since + patience) {
      s->starved = true;
      service_->wire().streams_starved.add();
    }
}

} // namespace ron::transport
