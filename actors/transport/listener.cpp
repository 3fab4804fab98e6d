#include "transport/listener.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <optional>

namespace ron::transport {

namespace {

constexpr int accepts_per_turn = 16;
constexpr std::chrono::milliseconds rest{100};

unique_fd open_reserve() {
  return unique_fd{::open("/dev/null", O_RDONLY | O_CLOEXEC)};
}

} // namespace

struct listener_state {
  static constexpr const char* name = "transport.listener";

  listener_settings settings;
  connection_factory make;
  std::optional<boost::asio::posix::stream_descriptor> socket;
  std::optional<boost::asio::steady_timer> resting;
  unique_fd reserve; ///< given up for a moment when there is no other descriptor
};

namespace {

using listener_self = core::actor_self<listener_actor, listener_state>;

void await_connection(listener_self self);

void refuse(listener_self self, int fd, refusal why) {
  auto& settings = self->state.settings;
  settings.metrics->refused.add(settings.label, why);
  auto& words = settings.refusal;
  if (!words.empty())
    ::send(fd, words.data(), words.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

/// True if the process that connected runs as one of `users`.
bool is_one_of(const std::vector<std::uint32_t>& users, int fd) {
  ucred peer{};
  socklen_t n = sizeof peer;
  return ::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0
         && std::ranges::find(users, peer.uid) != users.end();
}

void admit(listener_self self, unique_fd fd, const sockaddr* address) {
  auto& st = self->state;
  if (const auto& users = st.settings.users; !users.empty() && !is_one_of(users, fd.get()))
    return refuse(self, fd.get(), refusal::user);
  // The kernel hands out the lowest free number, so this says how many are in use.
  if (const auto end = st.settings.descriptors_end; end > 0 && fd.get() >= end)
    return refuse(self, fd.get(), refusal::descriptors);
  auto peer = st.settings.all_peers ? *st.settings.all_peers : peer_address::of(address);
  auto slot = st.settings.budget->enter(peer.key);
  if (!slot)
    return refuse(self, fd.get(), slot.error());
  st.settings.metrics->accepted.add(st.settings.label);
  st.make(self, accepted{std::move(fd), std::move(peer), std::move(*slot), st.settings.label});
}

/// Takes one connection off the queue and closes it. False if not even that works.
bool shed_one(listener_self self) {
  auto& st = self->state;
  if (!st.reserve)
    st.reserve = open_reserve();
  if (!st.reserve)
    return false;
  st.reserve.reset();
  unique_fd fd{::accept4(st.socket->native_handle(), nullptr, nullptr, SOCK_CLOEXEC)};
  bool took = static_cast<bool>(fd);
  if (took)
    refuse(self, fd.get(), refusal::descriptors);
  fd.reset();
  st.reserve = open_reserve();
  return took;
}

void take_a_rest(listener_self self) {
  auto& st = self->state;
  st.resting->expires_after(rest);
  st.resting->async_wait(self->bind([self](const boost::system::error_code& e) {
    if (!e)
      await_connection(self);
  }));
}

void accept_some(listener_self self) {
  for (int i = 0; i < accepts_per_turn; ++i) {
    sockaddr_storage address{};
    socklen_t n = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    unique_fd fd{::accept4(self->state.socket->native_handle(), generic, &n,
                           SOCK_NONBLOCK | SOCK_CLOEXEC)};
    if (fd) {
      admit(self, std::move(fd), generic);
      continue;
    }
    switch (errno) {
      case EAGAIN: return await_connection(self);
      case EMFILE:
      case ENFILE:
        if (!shed_one(self))
          return take_a_rest(self);
        break;
      case ENOBUFS:
      case ENOMEM: return take_a_rest(self);
      default: break; // this connection died in the queue
    }
  }
  await_connection(self);
}

void await_connection(listener_self self) {
  auto& st = self->state;
  if (!st.socket)
    return;
  using descriptor = boost::asio::posix::stream_descriptor;
  st.socket->async_wait(descriptor::wait_read,
                        self->bind([self](const boost::system::error_code& e) {
                          if (!e && self->state.socket)
                            accept_some(self);
                        }));
}

} // namespace

listener_actor::behavior_type make_listener(listener_self self, unique_fd socket,
                                            listener_settings settings,
                                            connection_factory make) {
  auto& st = self->state;
  st.settings = std::move(settings);
  st.make = std::move(make);
  st.reserve = open_reserve();
  st.socket.emplace(self->home().io(), socket.release());
  st.resting.emplace(self->home().io());
  await_connection(self);
  return {
    [self](atom::stop) {
      self->state.socket.reset();
      self->state.resting.reset();
      self->quit();
      return atom::ok_v;
    },
  };
}

void listeners::stop() const {
  for (auto& a : actors)
    caf::anon_send<caf::message_priority::high>(a, atom::stop_v);
}

core::result<listeners> start_listeners(core::shards& on, const core::config::host_port& where,
                                        const socket_options& options,
                                        const listener_settings& settings,
                                        const connection_factory& make) {
  auto sockets = listen_tcp(where, on.size(), options);
  if (!sockets)
    return std::unexpected{sockets.error()};
  listeners out{sockets->address, {}};
  for (std::size_t i = 0; i < on.size(); ++i)
    out.actors.push_back(core::spawn_on(on.at(i), {}, make_listener, std::move(sockets->fds[i]),
                                        settings, make));
  return out;
}

listener_actor start_listener(core::shards& on, unique_fd socket,
                              const listener_settings& settings, const connection_factory& make) {
  return core::spawn_on(on.at(0), {}, make_listener, std::move(socket), settings, make);
}

} // namespace ron::transport
