#include "connection.hpp"
#include "core/json.hpp"
#include "peers/mailbox_sides.hpp"

#include <chrono>
#include <stdexcept>
#include <unordered_map>
#include <utility>

namespace ron::bench {

namespace {

using namespace std::chrono_literals;
using core::json;

/// OAP/1 over TLS 1.3, one stream a request.
class our_line final : public mail_line {
public:
  our_line(const ours_target& to, const mail_load& load, std::string topic)
    : load_(load), topic_(std::move(topic)), token_(to.token) {
    sdk::client_options o;
    o.port = to.port;
    o.pin = to.pin;
    auto settings = sdk::connection::usual_settings();
    settings.max_streams = 65'536; // one stream a request, and twice as many a second
    auto link = sdk::connection::open(o, settings);
    if (!link)
      throw std::runtime_error("ours: " + link.error().message);
    link_ = std::move(*link);
    const auto payload
      = json::binary(std::vector<std::uint8_t>(load.payload, std::uint8_t{'x'}));
    send_args_ = core::dump_cbor({{"topic", topic_}, {"payload", payload}});
    batch_args_ = core::dump_cbor(
      {{"topic", topic_}, {"messages", std::vector<json>(load.in_flight, {{"payload", payload}})}});
    receive_args_ = core::dump_cbor(
      {{"topic", topic_}, {"max", load.in_flight}, {"visibility_ms", 60'000}});
  }

  std::uint64_t send_until(const std::function<bool()>& over) override {
    std::uint64_t done = 0;
    for (std::size_t i = 0; i < load_.in_flight; ++i)
      open("mb.send", send_args_.view());
    while (open_ != 0)
      for (auto n = take(); n > 0; --n, ++done)
        if (!over())
          open("mb.send", send_args_.view());
    return done;
  }

  std::uint64_t send_batches_until(const std::function<bool()>& over) override {
    std::uint64_t done = 0;
    while (!over()) {
      open("mb.send", batch_args_.view());
      while (open_ != 0)
        take();
      done += load_.in_flight;
    }
    return done;
  }

  std::uint64_t cycle_until(const std::function<bool()>& over) override {
    std::uint64_t done = 0;
    while (!over()) {
      for (std::size_t i = 0; i < load_.in_flight; ++i)
        open("mb.send", send_args_.view());
      while (open_ != 0)
        take();
      done += take_away(receive_args_.view());
    }
    return done;
  }

  void clear() override {
    const auto all = core::dump_cbor({{"topic", topic_}, {"max", 100}, {"visibility_ms", 60'000}});
    while (take_away(all.view()) != 0) {
      // nop: there may be more
    }
  }

private:
  /// Receives and acknowledges; how many messages.
  std::size_t take_away(core::byte_view receive_args) {
    const auto got = call("mb.recv", receive_args);
    json receipts = json::array();
    for (const auto& m : got.at("messages"))
      receipts.push_back(m.at("receipt"));
    const auto n = receipts.size();
    const auto ack = core::dump_cbor({{"topic", topic_}, {"receipts", std::move(receipts)}});
    if (n != 0)
      call("mb.ack", ack.view());
    return n;
  }

  void open(std::string_view name, core::byte_view args) {
    oap::open_request o;
    o.name = name;
    o.args = args;
    o.cap = {reinterpret_cast<const std::uint8_t*>(token_.data()), token_.size()};
    o.end = true;
    auto corr = link_->session().open(o);
    if (!corr)
      throw std::runtime_error("ours: " + corr.error().message);
    ++open_;
  }

  json call(std::string_view name, core::byte_view args) {
    open(name, args);
    while (open_ != 0)
      take();
    auto map = core::parse_cbor(last_.view());
    if (!map)
      throw std::runtime_error("ours: " + map.error().message);
    return std::move(*map);
  }

  /// Waits for answers; how many streams ended.
  std::size_t take() {
    auto events = link_->step(std::chrono::steady_clock::now() + 10s);
    if (!events)
      throw std::runtime_error("ours: " + events.error().message);
    std::size_t ended = 0;
    for (auto& e : *events) {
      if (auto* d = std::get_if<oap::data>(&e)) {
        link_->session().consumed(d->corr, 1);
        last_ = std::move(d->bytes);
      } else if (std::holds_alternative<oap::ended>(e)) {
        ++ended;
      } else if (auto* bad = std::get_if<oap::stream_error>(&e)) {
        throw std::runtime_error("ours: " + std::string{bad->message.text()});
      }
    }
    open_ -= ended;
    return ended;
  }

  mail_load load_;
  std::string topic_;
  std::string token_;
  std::unique_ptr<sdk::connection> link_;
  core::bytes send_args_;
  core::bytes batch_args_;
  core::bytes receive_args_;
  core::bytes last_;      ///< of the answer that came last
  std::size_t open_ = 0;
};

} // namespace

mail_line_ptr connect_ours(const ours_target& to, const mail_load& load, std::string topic) {
  return std::make_unique<our_line>(to, load, std::move(topic));
}

} // namespace ron::bench
