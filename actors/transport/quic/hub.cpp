#include "transport/quic/hub.hpp"

#include "core/log.hpp"
#include "transport/peer_address.hpp"

#include <boost/asio/io_context.hpp>

#include <algorithm>
#include <utility>

namespace ron::transport::quic {

using core::instant;

hub::hub(core::shard& home, std::shared_ptr<const hub_parts> parts, unique_fd fd)
    : home_(home), parts_(std::move(parts)), socket_(std::move(fd)),
      endpoint_(
        static_cast<std::uint8_t>(home.index()),
        [this] {
          offered_ = parts_->offer.get();
          return offered_->connections;
        },
        parts_->limits,
        [p = parts_, i = home.index()] { return p->tls(i); }, parts_->keys, *this),
      buffer_(connection::burst_max) {
  // nop
}

hub::~hub() {
  for (auto& [c, e] : entries_) {
    parts_->sockets->connections.sub(entrance::oap_quic);
    e.link->detach();
  }
  if (ready_)
    ready_->release();
}

void hub::start(std::shared_ptr<const family> siblings) {
  siblings_ = std::move(siblings);
  ready_.emplace(home_.io(), socket_.fd());
  timer_.emplace(home_.io());
  age_timer_.emplace(home_.io());
  await_datagrams();
}

void hub::stop_accepting() {
  endpoint_.stop_accepting();
  stopping_ = true;
  close_if_done();
}

/// Nobody needs the socket any more: nothing holds us then.
void hub::close_if_done() {
  if (!stopping_ || !entries_.empty() || std::exchange(closed_, true))
    return;
  if (timer_)
    timer_->cancel();
  if (age_timer_)
    age_timer_->cancel();
  if (ready_)
    ready_->release();
  ready_.reset();
}

// -- datagrams in ------------------------------------------------------------------------

void hub::await_datagrams() {
  ready_->async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [me = shared_from_this()](const boost::system::error_code& e) {
                       if (!e && !me->closed_)
                         me->read_some();
                     });
}

void hub::read_some() {
  const auto t = now();
  const auto take = [&](const path& from, core::byte_view datagram) {
    parts_->metrics->datagrams.add(direction::in);
    const auto shards = siblings_->size();
    const auto shard = endpoint::shard_of(datagram) % shards;
    if (shard == home_.index())
      return on_datagram(from, datagram, t);
    if (auto other = siblings_->at(shard).lock()) {
      parts_->metrics->forwarded.add();
      other->forward(from, datagram);
    }
  };
  for (int i = 0; i < receives_per_turn; ++i) {
    const auto got = socket_.receive(take, bulk_ ? 1 : udp_socket::reads_max);
    bulk_ = got.datagrams >= bulk_datagrams;
    // Acknowledgements that are due leave at once. Where the way is short, the window of a sender
    // is no larger than what one read brings, and it would be idle until all of it is dealt with.
    for (auto* c : touched_)
      produce(*c);
    if (got.all)
      break;
  }
  for (std::size_t i = 0; i < touched_.size(); ++i)
    if (auto e = entries_.find(touched_[i]); e != entries_.end())
      look_at(*touched_[i], e->second);
  count();
  if (!closed_)
    await_datagrams();
}

void hub::on_datagram(const path& from, core::byte_view datagram, instant t) {
  endpoint_.on_datagram(from, datagram, t);
}

void hub::forward(const path& from, core::byte_view datagram) {
  if (forwards_.fetch_add(1, std::memory_order_relaxed) >= forwards_max) {
    forwards_.fetch_sub(1, std::memory_order_relaxed);
    parts_->metrics->drops.add(drop::forward);
    return;
  }
  const bool taken =
    home_.submit([me = weak_from_this(), from, copy = core::bytes::copy(datagram)] {
      auto h = me.lock();
      if (!h)
        return;
      h->forwards_.fetch_sub(1, std::memory_order_relaxed);
      h->on_datagram(from, copy.view(), h->now());
      for (auto* c : std::vector(h->touched_))
        if (auto e = h->entries_.find(c); e != h->entries_.end())
          h->look_at(*c, e->second);
    });
  if (taken)
    return;
  forwards_.fetch_sub(1, std::memory_order_relaxed);
  parts_->metrics->drops.add(drop::forward);
}

// -- connections -------------------------------------------------------------------------

bool hub::may_accept(const address& peer) {
  auto slot = parts_->budget->enter(peer_address::of(peer.get()).key);
  if (!slot) {
    parts_->sockets->refused.add(entrance::oap_quic, slot.error());
    return false;
  }
  admitted_ = std::move(*slot);
  return true;
}

void hub::accepted(connection& c) {
  auto peer = peer_address::of(c.where().remote.get());
  auto link =
    std::make_shared<quic_link>(weak_from_this(), c, std::move(peer.text), offered_->frame_max);
  c.set_events(link->lanes());
  if (offered_->connections.early_data)
    link->lanes().run_early(parts_->early_operations);
  auto& e = entries_[&c];
  e.link = std::move(link);
  e.slot = std::exchange(admitted_, {});
  e.offer = std::move(offered_);
  e.link->when_settled([me = weak_from_this(), which = &c] {
    if (auto h = me.lock())
      if (auto i = h->entries_.find(which); i != h->entries_.end()) {
        i->second.settled = true;
        if (!i->second.shaking)
          i->second.slot.settle();
      }
  });
  e.began = now();
  parts_->sockets->accepted.add(entrance::oap_quic);
  parts_->sockets->connections.add(entrance::oap_quic);
  parts_->metrics->unfinished.add();
}

void hub::touched(connection& c) {
  auto e = entries_.find(&c);
  if (e == entries_.end() || std::exchange(e->second.touched, true))
    return;
  touched_.push_back(&c);
  if (!std::exchange(settling_, true))
    home_.defer([me = weak_from_this()] {
      if (auto h = me.lock())
        h->settle();
    });
}

void hub::look_at(connection& c, entry& e) {
  if (e.shaking && c.state() != connection::phase::handshake)
    finish_handshake(c, e);
  const bool speaks = c.early() && e.link->lanes().ready(); // HELLO at least, in early data
  if (!e.opened && (speaks || c.state() == connection::phase::open)) {
    e.opened = true;
    e.offer->open(home_, e.link);
  }
  e.link->look();
  if (e.link->lanes().unfinished() != 0) {
    partial_.insert(&c);
    await_age();
  }
}

void hub::finish_handshake(connection& c, entry& e) {
  e.shaking = false;
  parts_->metrics->unfinished.sub();
  auto& m = *parts_->sockets;
  if (e.settled)
    e.slot.settle();
  if (c.early_data() != early_fate::none)
    parts_->metrics->early_data.add(c.early_data() == early_fate::accepted
                                      ? early_outcome::accepted
                                      : early_outcome::rejected);
  parts_->metrics->early_held.add_n(e.link->lanes().held_streams());
  if (c.state() == connection::phase::open) {
    const auto agreed = c.tls();
    m.handshakes.add(agreed.resumed ? handshake::resumed : handshake::full);
    m.handshake_seconds.observe(now() - e.began,
                                agreed.hybrid ? key_exchange::hybrid : key_exchange::classic);
    if (agreed.downgraded)
      m.pq_downgrades.add();
    return;
  }
  const auto& why = c.ending();
  m.handshakes.add(why.silent ? handshake::timeout : handshake::failed);
  core::log::info("quic", "connection failed before it was open",
                  {{"peer", peer_address::of(c.where().remote.get()).text},
                   {"reason", why.text},
                   {"code", why.code}});
}

/// The end of a turn: sends what all that happened has brought, and lets go of what is over.
void hub::settle() {
  settling_ = false;
  for (auto* c : std::exchange(touched_, {})) {
    auto i = entries_.find(c);
    if (i == entries_.end())
      continue;
    i->second.touched = false;
    produce(*c);
    look_at(*c, i->second);
    i->second.link->sent();
    if (c->state() == connection::phase::over)
      bury(*c);
    else
      place(*c, i->second);
  }
  arm();
}

void hub::bury(connection& c) {
  auto i = entries_.find(&c);
  auto e = std::move(i->second);
  if (e.due != instant{})
    due_.erase({e.due, &c});
  entries_.erase(i);
  partial_.erase(&c);
  if (e.shaking)
    parts_->metrics->unfinished.sub();
  const auto figures = c.measure();
  parts_->metrics->packets_lost.add_n(figures.packets_lost);
  parts_->metrics->key_updates.add_n(figures.key_updates);
  parts_->sockets->connections.sub(entrance::oap_quic);
  parts_->sockets->bytes.add_n(c.bytes_in(), direction::in);
  parts_->sockets->bytes.add_n(c.bytes_out(), direction::out);
  e.link->when_settled({});
  e.link->detach();
  endpoint_.forget(c);
  e.link->look();
  close_if_done();
}

// -- datagrams out -----------------------------------------------------------------------

void hub::flush(connection& c) {
  produce(c);
  touched(c); // its timer changed, and it may be over
}

void hub::produce(connection& c) {
  path to;
  std::size_t segment = 0;
  while (!stuck_ && !closed_) {
    const auto n = c.produce(buffer_, now(), to, segment);
    if (n == 0)
      return;
    const core::byte_view out{buffer_.data(), n};
    parts_->metrics->datagrams.add_n((n + segment - 1) / segment, direction::out);
    parts_->metrics->sends.add();
    switch (socket_.send(to, out, segment)) {
    case udp_socket::outcome::done:
      break;
    case udp_socket::outcome::lost:
      parts_->metrics->drops.add(drop::send);
      break;
    case udp_socket::outcome::full:
      stuck_ = stuck{to, {out.begin(), out.end()}, segment};
      await_room();
      break;
    }
  }
}

void hub::await_room() {
  ready_->async_wait(boost::asio::posix::stream_descriptor::wait_write,
                     [me = shared_from_this()](const boost::system::error_code& e) {
                       if (e || me->closed_ || !me->stuck_)
                         return;
                       auto held = std::exchange(me->stuck_, std::nullopt);
                       if (me->socket_.send(held->to, held->bytes, held->segment)
                           == udp_socket::outcome::full) {
                         me->stuck_ = std::move(held);
                         return me->await_room();
                       }
                       for (auto& [c, waits] : me->entries_) // all of them may have waited
                         me->touched(*c);
                     });
}

void hub::send(const path& to, core::byte_view datagram) {
  parts_->metrics->datagrams.add(direction::out);
  parts_->metrics->sends.add();
  auto unmarked = to; // it was how the peer's datagram is marked
  unmarked.ecn = 0;
  if (socket_.send(unmarked, datagram, datagram.size()) != udp_socket::outcome::done)
    parts_->metrics->drops.add(drop::send);
}

// -- time ----------------------------------------------------------------------------------

void hub::place(connection& c, entry& e) {
  const auto due = c.wake_at().value_or(instant{});
  if (due == e.due || (due > e.due && e.due != instant{}))
    return; // later than before: each packet moves it, and waking once too often is cheaper
  if (e.due != instant{})
    due_.erase({e.due, &c});
  e.due = due;
  if (due != instant{})
    due_.emplace(due, &c);
}

void hub::arm() {
  if (due_.empty() || closed_)
    return;
  const auto first = due_.begin()->first;
  if (armed_ && *armed_ <= first)
    return;
  armed_ = first;
  timer_->expires_at(first);
  timer_->async_wait([me = weak_from_this()](const boost::system::error_code& e) {
    if (e)
      return;
    if (auto h = me.lock())
      h->on_time();
  });
}

void hub::on_time() {
  armed_.reset();
  const auto t = now();
  while (!due_.empty() && due_.begin()->first <= t) {
    auto* c = due_.begin()->second;
    due_.erase(due_.begin());
    auto& e = entries_.find(c)->second;
    e.due = {};
    endpoint_.on_timer(*c, t);
    look_at(*c, e);
  }
  arm();
}

// -- frames that do not end ------------------------------------------------------------------

void hub::await_age() {
  if (closed_ || partial_.empty() || std::exchange(aging_, true))
    return;
  age_timer_->expires_after(parts_->offer.get()->frame_timeout / frame_lanes::ages);
  age_timer_->async_wait([me = weak_from_this()](const boost::system::error_code& e) {
    if (e)
      return;
    if (auto h = me.lock())
      h->on_age();
  });
}

/// A quarter of the time for a frame went by.
void hub::on_age() {
  aging_ = false;
  const auto patience = parts_->offer.get()->frame_timeout;
  for (auto* c : std::vector(partial_.begin(), partial_.end())) {
    auto& e = entries_.find(c)->second;
    if (const auto ended = e.link->age(patience); ended != 0) {
      parts_->metrics->slow_streams.add_n(ended);
      look_at(*c, e);
      touched(*c);
    }
    if (e.link->lanes().unfinished() == 0)
      partial_.erase(c);
  }
  await_age();
}

/// Exports what the endpoint has counted since the last time.
void hub::count() {
  const auto& c = endpoint_.counters();
  auto& m = *parts_->metrics;
  const auto add = [](auto& to, std::uint64_t n, std::uint64_t& shown, auto label) {
    if (n != shown)
      to.add_n(n - std::exchange(shown, n), label);
  };
  add(m.answers, c.retries, counted_.retries, answer::retry);
  add(m.answers, c.versions, counted_.versions, answer::version);
  add(m.answers, c.resets, counted_.resets, answer::reset);
  add(m.answers, c.refused, counted_.refused, answer::refused);
  add(m.drops, c.dropped_full, counted_.dropped_full, drop::full);
  add(m.drops, c.dropped_rate, counted_.dropped_rate, drop::rate);
  add(m.drops, c.dropped_junk, counted_.dropped_junk, drop::junk);
}

} // namespace ron::transport::quic
