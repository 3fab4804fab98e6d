#pragma once

#include "core/crypto/tls_context.hpp"
#include "core/json.hpp"
#include "crypto/tls_pair.hpp"
#include "support/actor_fixture.hpp"
#include "transport/http/conditional.hpp"
#include "transport/http/http_service.hpp"
#include "transport/http/text.hpp"
#include "transport/sockets.hpp"
#include "transport/tcp/tcp_link.hpp"
#include "transport/tls/tls_link.hpp"

#include <caf/event_based_actor.hpp>

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

/// Real connections on loopback against a table of toy operations.
namespace ron::test {

/// One answer as a client sees it.
struct http_answer {
  int status = 0;
  std::multimap<std::string, std::string> fields; ///< names in lower case
  std::string body;

  std::string field(const std::string& name) const {
    auto i = fields.find(name);
    return i == fields.end() ? std::string{} : i->second;
  }
  core::json json() const { return core::parse_json(body).value_or(core::json{}); }
};

/// Reads answers off a stream of text: `more` gives what comes next, empty at the end.
class answer_reader {
public:
  using source = std::function<std::string()>;
  explicit answer_reader(source more) : more_(std::move(more)) {}

  /// Status 0 when the stream ends before a whole answer.
  http_answer next(bool head_only = false) {
    http_answer a;
    std::size_t end = 0;
    while ((end = text_.find("\r\n\r\n")) == std::string::npos)
      if (!fetch())
        return a;
    parse_head(std::string_view{text_}.substr(0, end + 2), a);
    text_.erase(0, end + 4);
    const auto length = a.field("content-length");
    const bool no_body = head_only || length.empty() || a.status == 304;
    const std::size_t n = no_body ? 0 : std::stoul(length);
    while (text_.size() < n)
      if (!fetch())
        return {};
    a.body = text_.substr(0, n);
    text_.erase(0, n);
    return a;
  }
  /// True when the peer has closed and nothing is left.
  bool at_end() { return text_.empty() && !fetch(); }

private:
  static void parse_head(std::string_view head, http_answer& a) {
    auto line = head.substr(0, head.find("\r\n"));
    a.status = std::stoi(std::string{line.substr(9, 3)});
    head.remove_prefix(line.size() + 2);
    while (!head.empty()) {
      line = head.substr(0, head.find("\r\n"));
      auto colon = line.find(": ");
      std::string name{line.substr(0, colon)};
      for (auto& c : name)
        c = static_cast<char>(std::tolower(c));
      a.fields.emplace(std::move(name), line.substr(colon + 2));
      head.remove_prefix(line.size() + 2);
    }
  }
  bool fetch() {
    auto piece = more_();
    text_ += piece;
    return !piece.empty();
  }

  source more_;
  std::string text_;
};

/// Lets everybody in, or nobody.
class toy_gate final : public transport::gate {
public:
  void admit(const transport::call&,
             std::function<void(core::result<transport::admission>)> then) override {
    ++admitted;
    if (auto e = refuse.load(); e != core::ec::none)
      return then(core::fail(e, "refused by the gate"));
    transport::admission a;
    a.who.id = "toy";
    ++slots;
    a.slot = transport::admission_slot{this, [this](void*) { --slots; }};
    then(std::move(a));
  }

  std::atomic<core::ec> refuse{core::ec::none};
  std::atomic<int> admitted{0};
  std::atomic<int> slots{0};
};

/// What the toy operations did, seen by the test's thread.
struct toy_world {
  std::atomic<int> cancelled{0};
  std::atomic<int> pieces{0};
  std::atomic<std::size_t> largest_piece{0};
  std::atomic<std::uint64_t> uploaded{0};
  std::atomic<std::uint64_t> produced{0};  ///< object bytes handed to the wire
  std::atomic<int> waiting{0};
  std::mutex mutex;
  std::vector<transport::exchange_ptr> held; ///< exchanges nobody answers; shard of the connection
};

inline std::string toy_object(std::uint64_t size) {
  std::string out(size, '\0');
  for (std::uint64_t i = 0; i < size; ++i)
    out[i] = static_cast<char>('a' + i % 23);
  return out;
}

inline transport::answer bare(std::uint16_t status) {
  transport::answer a;
  a.status = status;
  return a;
}

std::vector<transport::operation> toy_operations(toy_world& world);

class HttpRig : public ShardFixture {
public:
  HttpRig() : ShardFixture(1) {
    settings.connection.idle_timeout = std::chrono::seconds{20};
    settings.connection.header_timeout = std::chrono::seconds{20};
    settings.connection.answer_timeout = std::chrono::seconds{20};
  }
  ~HttpRig() override {
    fds_.clear();
    for (auto& a : connections_)
      core::end(a, caf::exit_reason::user_shutdown);
    EXPECT_TRUE(eventually([this] { return open() == 0; })) << "a connection stayed";
    EXPECT_EQ(gate.slots, 0);
    EXPECT_EQ(in_flight(), 0) << "every request ends once";
  }

  /// Opens a connection; the settings are those of the moment.
  int dial(int buffer_bytes = 0) {
    auto [ours, theirs] = tcp_pair(buffer_bytes);
    launch([fd = std::make_shared<transport::unique_fd>(std::move(ours))](auto& io, auto owner) {
      return transport::make_tcp_link(io, std::move(*fd), "127.0.0.1:7", owner);
    }, transport::wire::http);
    fds_.push_back(std::move(theirs));
    return fds_.back().get();
  }
  void launch(http::link_factory make, transport::wire via) {
    if (!service)
      service = std::make_shared<http::http_service>(
        transport::operation_table{toy_operations(world)}, gate, clock, registry, settings);
    service->settings(settings);
    connections_.push_back(
      http::open_http_connection(shards.at(0), service, via, std::move(make)));
  }
  /// Gives up the client's end.
  transport::unique_fd take(int fd) {
    for (auto& f : fds_)
      if (f.get() == fd)
        return std::move(f);
    return {};
  }
  caf::actor connection(std::size_t i = 0) { return connections_.at(i); }

  /// Sends `request` on a connection of its own and reads one answer.
  http_answer once(const std::string& request, bool head_only = false) {
    auto fd = dial();
    EXPECT_TRUE(send_all(fd, request));
    return reader(fd).next(head_only);
  }
  static answer_reader reader(int fd) {
    return answer_reader{[fd] { return receive_some(fd); }};
  }
  std::int64_t open() const {
    return service ? service->metrics().connections.value() : 0;
  }
  /// Requests being served.
  std::int64_t in_flight() const {
    std::int64_t n = 0;
    for (std::size_t r = 0; service && r < transport::route_count; ++r)
      n += service->metrics().requests.in_flight.value(static_cast<transport::route>(r));
    return n;
  }
  /// Requests answered, or given up by their callers, as `how`.
  std::uint64_t answered(transport::outcome how) const {
    std::uint64_t n = 0;
    for (std::size_t r = 0; service && r < transport::route_count; ++r)
      n += service->metrics().requests.requests.value(static_cast<transport::route>(r), how);
    return n;
  }

  core::metrics::registry registry;
  core::system_clock clock;
  toy_gate gate;
  toy_world world;
  http::http_settings settings;
  std::shared_ptr<http::http_service> service;

private:
  std::vector<caf::actor> connections_;
  std::vector<transport::unique_fd> fds_;
};

inline std::string request(const std::string& line, const std::string& fields = {},
                           const std::string& body = {}) {
  return line + " HTTP/1.1\r\nHost: ron\r\n" + fields + "\r\n" + body;
}

inline std::string with_body(const std::string& line, const std::string& body,
                             const std::string& fields = {}) {
  return request(line, "Content-Length: " + std::to_string(body.size()) + "\r\n" + fields, body);
}

} // namespace ron::test
