#include "core/crypto/tls_session.hpp"
#include "peers/mailbox_sides.hpp"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

namespace ron::bench {

namespace {

using core::crypto::tls_session;

[[noreturn]] void give_up(const std::string& why) {
  throw std::runtime_error("redis: " + why);
}

/// A blocking socket, under TLS 1.3 if a pin is given.
class wire {
public:
  explicit wire(const redis_target& to) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(to.port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) != 0)
      give_up("cannot connect");
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    input_.resize(128u << 10);
    if (!to.pin.empty())
      shake_hands(to.pin);
  }
  ~wire() { ::close(fd_); }
  wire(const wire&) = delete;
  wire& operator=(const wire&) = delete;

  void write(const std::string& text) {
    if (!tls_)
      return send_all({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    const std::vector<core::bytes> plain{core::bytes::copy(std::string_view{text})};
    if (auto ok = tls_->write(plain); !ok)
      give_up(ok.error().message);
    flush();
  }

  /// Appends what comes next.
  void read(std::string& to) {
    const auto n = ::recv(fd_, input_.data(), input_.size(), 0);
    if (n <= 0)
      give_up("the connection ended");
    core::byte_view rest{input_.data(), static_cast<std::size_t>(n)};
    if (!tls_) {
      to.append(reinterpret_cast<const char*>(rest.data()), rest.size());
      return;
    }
    std::vector<std::uint8_t> room(tls_session::room_for(rest.size()));
    for (bool more = true; more;) {
      auto p = tls_->feed(rest, room);
      if (!p)
        give_up(p.error().message);
      rest = rest.subspan(p->consumed);
      to.append(reinterpret_cast<const char*>(room.data()), p->produced);
      more = !rest.empty() || p->produced == room.size();
    }
  }

private:
  void shake_hands(const std::string& pin) {
    core::crypto::tls_client_options o;
    o.pin = pin;
    auto context = core::crypto::tls_context::make_client(o);
    if (!context)
      give_up(context.error().message);
    auto tls = tls_session::connect(*context, "127.0.0.1");
    if (!tls)
      give_up(tls.error().message);
    tls_.emplace(std::move(*tls));
    std::string early;
    flush();
    while (!tls_->is_open()) {
      read(early);
      flush();
    }
  }

  void flush() {
    std::vector<core::bytes> out;
    tls_->take_output(out);
    for (const auto& b : out)
      send_all(b.view());
  }

  void send_all(core::byte_view b) {
    while (!b.empty()) {
      const auto n = ::send(fd_, b.data(), b.size(), MSG_NOSIGNAL);
      if (n <= 0)
        give_up("the connection was lost");
      b = b.subspan(static_cast<std::size_t>(n));
    }
  }

  int fd_;
  std::optional<tls_session> tls_;
  std::vector<std::uint8_t> input_;
};

/// Reads RESP2 values off a buffer that may end anywhere.
class replies {
public:
  /// Takes one whole value; false if it is not all there. Its bulk strings go to `strings`.
  bool next(std::string& buffer, std::vector<std::string>* strings) {
    std::size_t at = used_;
    if (!value(buffer, at, strings))
      return false;
    used_ = at;
    if (used_ > (64u << 10)) {
      buffer.erase(0, used_);
      used_ = 0;
    }
    return true;
  }

private:
  static bool line(const std::string& b, std::size_t& at, std::string_view& out) {
    const auto end = b.find("\r\n", at);
    if (end == b.npos)
      return false;
    out = std::string_view{b}.substr(at, end - at);
    at = end + 2;
    return true;
  }

  static bool value(const std::string& b, std::size_t& at, std::vector<std::string>* strings) {
    std::string_view head;
    if (!line(b, at, head) || head.empty())
      return false;
    long n = 0;
    std::from_chars(head.data() + 1, head.data() + head.size(), n);
    switch (head[0]) {
      case '+':
      case ':':
        return true;
      case '$':
        if (n < 0)
          return true;
        if (b.size() < at + static_cast<std::size_t>(n) + 2)
          return false;
        if (strings)
          strings->emplace_back(b, at, static_cast<std::size_t>(n));
        at += static_cast<std::size_t>(n) + 2;
        return true;
      case '*':
        for (; n > 0; --n)
          if (!value(b, at, strings))
            return false;
        return true;
      default:
        give_up(std::string{head});
    }
  }

  std::size_t used_ = 0;
};

std::string command(const std::vector<std::string>& words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const auto& w : words)
    out += "$" + std::to_string(w.size()) + "\r\n" + w + "\r\n";
  return out;
}

class redis_line final : public mail_line {
public:
  redis_line(const redis_target& to, const mail_load& load, std::string stream)
    : load_(load), stream_(std::move(stream)), wire_(to),
      add_(command({"XADD", stream_, "*", "p", std::string(load.payload, 'x')})),
      read_(command({"XREADGROUP", "GROUP", "g", "c", "COUNT", std::to_string(load.in_flight),
                     "STREAMS", stream_, ">"})) {
    wire_.write(command({"XGROUP", "CREATE", stream_, "g", "$", "MKSTREAM"}));
    await(nullptr);
  }

  std::uint64_t send_until(const std::function<bool()>& over) override {
    std::uint64_t done = 0;
    std::size_t out = load_.in_flight;
    std::string batch;
    for (std::size_t i = 0; i < out; ++i)
      batch += add_;
    wire_.write(batch);
    while (out != 0) {
      batch.clear();
      for (auto n = some(); n > 0; --n, ++done, --out)
        if (!over()) {
          batch += add_;
          ++out;
        }
      if (!batch.empty())
        wire_.write(batch);
    }
    return done;
  }

  std::uint64_t send_batches_until(const std::function<bool()>& over) override {
    std::uint64_t done = 0;
    std::string batch;
    for (std::size_t i = 0; i < load_.in_flight; ++i)
      batch += add_;
    while (!over()) {
      wire_.write(batch);
      for (auto left = load_.in_flight; left > 0; --left)
        await(nullptr);
      done += load_.in_flight;
    }
    return done;
  }

  std::uint64_t cycle_until(const std::function<bool()>& over) override {
    std::uint64_t done = 0;
    while (!over()) {
      std::string batch;
      for (std::size_t i = 0; i < load_.in_flight; ++i)
        batch += add_;
      wire_.write(batch);
      for (auto left = load_.in_flight; left > 0; --left)
        await(nullptr);
      wire_.write(read_);
      std::vector<std::string> strings; // stream, then id, "p" and payload of each
      await(&strings);
      std::vector<std::string> ack{"XACK", stream_, "g"};
      for (std::size_t i = 1; i + 2 < strings.size(); i += 3)
        ack.push_back(strings[i]);
      done += ack.size() - 3;
      wire_.write(command(ack));
      await(nullptr);
    }
    return done;
  }

  void clear() override {
    wire_.write(command({"XTRIM", stream_, "MAXLEN", "0"}));
    await(nullptr);
  }

private:
  void await(std::vector<std::string>* strings) {
    const auto before = strings ? strings->size() : 0;
    while (!replies_.next(buffer_, strings)) {
      if (strings)
        strings->resize(before);
      wire_.read(buffer_);
    }
  }
  /// Waits for replies; how many came.
  std::size_t some() {
    await(nullptr);
    std::size_t n = 1;
    while (replies_.next(buffer_, nullptr))
      ++n;
    return n;
  }

  mail_load load_;
  std::string stream_;
  wire wire_;
  std::string add_;
  std::string read_;
  std::string buffer_;
  replies replies_;
};

} // namespace

mail_line_ptr connect_redis(const redis_target& to, const mail_load& load, std::string stream) {
  return std::make_unique<redis_line>(to, load, std::move(stream));
}

} // namespace ron::bench
