#include "transport/tor/onion_actor.hpp"

#include "core/ids.hpp"
#include "core/log.hpp"
#include "transport/tor/onion_key.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <optional>

namespace ron::transport::tor {

namespace asio = boost::asio;
using std::chrono::milliseconds;

struct onion_state;

namespace {

using onion_self = core::actor_self<onion_actor, onion_state>;

constexpr milliseconds pause_first{250};
constexpr milliseconds pause_max{5'000};
constexpr milliseconds goodbye{1'000}; ///< for the daemon to close after QUIT

/// Between half and all of 250 ms * 2^n, at most 5 s.
milliseconds pause_before(unsigned attempt) {
  const auto most = std::min(pause_max, pause_first * (1 << std::min(attempt, 5u)));
  std::array<std::uint8_t, 2> dice{};
  core::random_bytes(dice);
  return most / 2 + most / 2 * (dice[0] * 256 + dice[1]) / 65'536;
}

/// One connection to the control port; replaced as a whole, so that what belonged to an older one
/// is recognised.
struct conversation {
  conversation(asio::io_context& io, control_settings settings, core::instant now)
      : socket(io), machine(std::move(settings), now) {
    // nop
  }
  asio::ip::tcp::socket socket;
  control machine;
  std::array<char, 4'096> in{};
  std::string sending; ///< with the kernel; one write at a time, a command is <= 200 bytes
  bool connected = false;
  bool writing = false;
};
using conversation_ptr = std::shared_ptr<conversation>;

} // namespace

struct onion_state {
  static constexpr const char* name = "transport.onion";

  ~onion_state() {
    if (talk) {
      boost::system::error_code ignored;
      talk->socket.close(ignored);
    }
  }

  onion_parts parts;
  std::optional<asio::steady_timer> timer;
  conversation_ptr talk;  ///< null between two attempts
  unsigned attempt = 0;   ///< failures in a row
  bool published = false; ///< as logged
  bool stopping = false;
};

namespace {

void pump(onion_self self);
void connect(onion_self self);

core::instant now(onion_self self) {
  return self->state.parts.clock->now();
}

/// Fires once, `pump` or `connect`; a new one replaces the old one.
template <class F>
void arm(onion_self self, milliseconds in, F f) {
  auto& timer = *self->state.timer;
  timer.expires_after(in);
  timer.async_wait(self->bind([self, f](const boost::system::error_code& e) {
    if (!e)
      f(self);
  }));
}

void hang_up(onion_self self) {
  auto& st = self->state;
  if (st.talk) {
    boost::system::error_code ignored;
    st.talk->socket.close(ignored);
    st.talk.reset();
  }
}

void fail(onion_self self, const unavailable& why) {
  auto& st = self->state;
  hang_up(self);
  st.parts.status->fail(why);
  if (st.stopping)
    return self->quit();
  const auto pause = pause_before(st.attempt++);
  core::log::warn("tor", st.published ? "the onion service is down" : "no onion service yet",
                  {{"reason", to_string(why.why)},
                   {"detail", why.detail},
                   {"what_to_do", advice(why.why)},
                   {"control", st.parts.control.to_string()},
                   {"again_in_ms", pause}});
  st.published = false;
  arm(self, pause, connect);
}

void read_some(onion_self self, const conversation_ptr& talk) {
  talk->socket.async_read_some(
    asio::buffer(talk->in),
    self->bind([self, talk](const boost::system::error_code& e, std::size_t n) {
      if (self->state.talk != talk)
        return;
      if (e)
        talk->machine.on_eof();
      else
        talk->machine.on_bytes({reinterpret_cast<const std::uint8_t*>(talk->in.data()), n},
                               now(self));
      const bool over = static_cast<bool>(e);
      pump(self);
      if (over && self->state.talk == talk) { // after QUIT
        hang_up(self);
        self->quit();
      } else if (self->state.talk == talk) {
        read_some(self, talk);
      }
    }));
}

void write_out(onion_self self, const conversation_ptr& talk) {
  if (talk->writing || !talk->connected)
    return;
  talk->sending = talk->machine.take_output();
  if (talk->sending.empty())
    return;
  talk->writing = true;
  asio::async_write(talk->socket, asio::buffer(talk->sending),
                    self->bind([self, talk](const boost::system::error_code& e, std::size_t) {
                      talk->writing = false;
                      if (!e && self->state.talk == talk)
                        write_out(self, talk); // a failed write shows as the end of reading too
                    }));
}

void take_key(onion_self self, const std::string& key) {
  auto& st = self->state;
  st.parts.service.key = key; // the same address after the daemon's restart
  if (st.parts.keep_key)
    st.parts.keep_key(key);
}

void show(onion_self self) {
  auto& st = self->state;
  const auto& machine = st.talk->machine;
  const auto address = machine.onion() + ':' + std::to_string(st.parts.service.onion_port);
  const bool up = machine.is_published();
  st.parts.status->set(machine.bootstrap(), up, address);
  if (up && !st.published) {
    st.attempt = 0;
    core::log::info("tor", "the onion service is published", {{"address", address}});
  }
  st.published = up;
}

/// Everything that follows from what the machine was told.
void pump(onion_self self) {
  auto& st = self->state;
  if (!st.talk)
    return;
  auto talk = st.talk;
  auto& machine = talk->machine;
  machine.on_time(now(self));
  if (auto path = machine.take_cookie_request())
    machine.on_cookie(load_cookie(*path), now(self));
  if (auto key = machine.take_new_key())
    take_key(self, *key);
  if (machine.failure())
    return fail(self, *machine.failure());
  if (!st.stopping)
    show(self);
  write_out(self, talk);
  if (st.stopping)
    return; // the timer waits for the daemon's goodbye
  const auto left = std::chrono::ceil<milliseconds>(machine.deadline() - now(self));
  arm(self, std::max(left, milliseconds{1}), pump);
}

void connect(onion_self self) {
  auto& st = self->state;
  auto service = st.parts.service;
  core::random_bytes(service.nonce);
  auto talk = std::make_shared<conversation>(self->home().io(), std::move(service), now(self));
  st.talk = talk;
  const asio::ip::tcp::endpoint daemon{asio::ip::make_address(st.parts.control.host),
                                       st.parts.control.port};
  talk->socket.async_connect(daemon, self->bind([self, talk](const boost::system::error_code& e) {
    if (self->state.talk != talk)
      return;
    if (e)
      return fail(self, {trouble::no_daemon, printable(e.message())});
    talk->connected = true;
    pump(self);
    if (self->state.talk == talk)
      read_some(self, talk);
  }));
  pump(self); // its deadline counts from here
}

void stop(onion_self self) {
  auto& st = self->state;
  st.stopping = true;
  st.parts.status->set(0, false, {});
  if (!st.talk || !st.talk->connected) {
    hang_up(self);
    return self->quit();
  }
  st.talk->machine.stop(now(self));
  write_out(self, st.talk);
  arm(self, goodbye, [](onion_self me) {
    hang_up(me);
    me->quit();
  });
}

onion_actor::behavior_type make_onion(onion_self self, onion_parts parts) {
  auto& st = self->state;
  st.parts = std::move(parts);
  st.timer.emplace(self->home().io());
  connect(self);
  return {
    [self](atom::stop) {
      stop(self);
      return atom::ok_v;
    },
  };
}

} // namespace

onion_actor start_onion(core::shards& on, onion_parts parts) {
  return core::spawn_on(on.at(0), {}, make_onion, std::move(parts));
}

} // namespace ron::transport::tor
