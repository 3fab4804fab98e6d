#include "ron/client.hpp"

#include "connection.hpp"
#include "core/hash.hpp"
#include "core/json.hpp"

#include <utility>

namespace ron::sdk {

using core::bytes;
using core::ec;
using core::error;
using core::fail;
using core::instant;
using core::json;
using core::result;

namespace {

instant now() {
  return std::chrono::steady_clock::now();
}

/// One request as the connection sees it.
struct request {
  std::string operation;
  json args = json::object();
  const byte_source* source = nullptr; ///< object bytes of the request
  const byte_sink* sink = nullptr;     ///< object bytes of the answer
  milliseconds overall{};              ///< 0 = only `idle` counts
  milliseconds idle{};
};

/// The answer's map; null for an answer without one.
struct reply {
  std::uint16_t status = 200;
  json map;
};

/// Runs one request on one stream: sends while there is credit, takes what comes.
class conversation {
public:
  conversation(connection& c, const request& r) : link_(c), request_(r) {}

  result<reply> run(const std::string& token) {
    if (auto ok = open(token); !ok)
      return std::unexpected{ok.error()};
    while (!over_) {
      if (auto ok = send_some(); !ok)
        return give_up(ok.error());
      auto events = link_.step(deadline());
      if (!events)
        return std::unexpected{events.error()};
      for (auto& e : *events)
        if (auto ok = std::visit([this](auto& x) { return on(x); }, e); !ok)
          return give_up(ok.error());
    }
    if (failed_)
      return std::unexpected{*failed_};
    return std::move(reply_);
  }

private:
  result<void> open(const std::string& token) {
    auto& args = request_.args;
    json map = args;
    if (request_.overall.count() > 0)
      map["_dl"] = request_.overall.count();
    const auto encoded = core::dump_cbor(map);
    oap::open_request o;
    o.name = request_.operation;
    o.args = encoded.view();
    o.cap = {reinterpret_cast<const std::uint8_t*>(token.data()), token.size()};
    // Not declared as one object: its id is what the node shall find out.
    o.reply_objects = request_.sink != nullptr;
    o.end = request_.source == nullptr;
    link_.pace();
    auto corr = link_.session().open(o);
    if (!corr)
      return std::unexpected{corr.error()};
    corr_ = *corr;
    sending_ = request_.source != nullptr;
    started_ = last_progress_ = now();
    return {};
  }

  instant deadline() const {
    auto end = last_progress_ + request_.idle;
    if (request_.overall.count() > 0)
      end = std::min(end, started_ + request_.overall + milliseconds{500});
    return end;
  }

  result<void> send_some() {
    auto& s = link_.session();
    // A refused chunk is kept: only a refusal makes the session report when it may be sent.
    while (sending_) {
      if (chunk_.empty()) {
        auto next = (*request_.source)();
        if (!next)
          return std::unexpected{next.error()};
        chunk_ = std::move(*next);
      }
      if (chunk_.empty()) {
        sending_ = false;
        s.end(corr_);
        return {};
      }
      const auto piece = chunk_.slice(0, core::limits::chunk_bytes);
      const auto how = s.send(corr_, piece);
      if (how == oap::send_status::would_block)
        return {};
      if (how != oap::send_status::sent) {
        sending_ = false; // the node has ended the stream; its answer is on the way
        return {};
      }
      chunk_ = chunk_.slice(piece.size());
      last_progress_ = now();
    }
    return {};
  }

  // -- events ------------------------------------------------------------------

  template <class E>
  result<void> on(const E&) {
    return {}; // another stream's, or nothing that concerns a request
  }

  result<void> on(oap::data& d) {
    if (d.corr != corr_)
      return {};
    last_progress_ = now();
    link_.session().consumed(corr_, 1);
    if (d.status != 0)
      reply_.status = d.status;
    if (!have_map_) {
      have_map_ = true;
      auto map = core::parse_cbor(d.bytes.view());
      if (!map)
        return fail(ec::downstream_5xx, "the node's answer is not CBOR: " + map.error().message);
      reply_.map = std::move(*map);
      return {};
    }
    if (!request_.sink)
      return fail(ec::downstream_5xx, "the node sent bytes that nobody asked for");
    return (*request_.sink)(d.bytes);
  }

  result<void> on(oap::ended& e) {
    if (e.corr != corr_)
      return {};
    if (e.status != 0)
      reply_.status = e.status;
    over_ = true;
    if (sending_)
      link_.session().cancel(corr_); // answered before it took everything
    return {};
  }

  result<void> on(oap::stream_error& e) {
    if (e.corr != corr_)
      return {};
    over_ = true;
    if (e.local) { // by the end of the connection, or by a breach of the node
      failed_ =
        error{ec::degraded, "the connection was lost (" + std::string{to_string(e.why)} + ")"};
      return {};
    }
    failed_ = error{core::from_oap_reason(static_cast<std::uint16_t>(e.why)).value_or(ec::internal),
                    std::string{e.message.text()}, e.retry_after_ms};
    return {};
  }

  result<void> on(oap::closed& e) {
    if (over_)
      return {};
    over_ = true;
    failed_ = error{ec::degraded,
                    "the node closed the connection"
                      + (e.message.empty() ? std::string{} : ": " + std::string{e.message.text()})};
    return {};
  }

  result<reply> give_up(error why) {
    link_.session().cancel(corr_);
    return std::unexpected{std::move(why)};
  }

  connection& link_;
  const request& request_;
  oap::corr_t corr_ = 0;
  bytes chunk_;
  bool sending_ = false;
  bool have_map_ = false;
  bool over_ = false;
  reply reply_;
  std::optional<error> failed_;
  instant started_{};
  instant last_progress_{};
};

/// One stream of events, from its START until somebody ends it.
class listening {
public:
  listening(connection& c, const event_sink& sink) : link_(c), sink_(sink) {}

  result<void> run(const std::string& token, const std::string& operation, const json& args) {
    const auto encoded = core::dump_cbor(args);
    oap::open_request o;
    o.name = operation;
    o.args = encoded.view();
    o.cap = {reinterpret_cast<const std::uint8_t*>(token.data()), token.size()};
    o.end = true;
    link_.pace();
    auto corr = link_.session().open(o);
    if (!corr)
      return std::unexpected{corr.error()};
    corr_ = *corr;
    bool asked = false; // whether the silent node is there
    while (!outcome_) {
      auto events = link_.step(now() + (asked ? answer_time : silence));
      if (!events && (asked || events.error().code != ec::downstream_timeout))
        return std::unexpected{events.error()};
      asked = !events;
      if (asked)
        if (auto ok = ask(); !ok)
          return ok;
      if (events)
        for (auto& e : *events)
          std::visit([this](auto& x) { on(x); }, e);
    }
    return *outcome_;
  }

private:
  static constexpr milliseconds silence{30'000};
  static constexpr milliseconds answer_time{10'000};

  result<void> ask() {
    oap::open_request o;
    o.name = "ping";
    o.end = true;
    auto corr = link_.session().open(o);
    if (!corr)
      return std::unexpected{corr.error()};
    return {};
  }

  template <class E>
  void on(const E&) {
    // nop: an answer to `ask`, or nothing that concerns the stream
  }

  void on(oap::data& d) {
    if (d.corr != corr_ || outcome_)
      return;
    link_.session().consumed(corr_, 1);
    if (!d.push)
      return; // what the stream is about
    if (d.total && *d.total > core::limits::oap_inflate_bytes_max)
      return stop(fail(ec::downstream_5xx, "the node announced an event that is too long"));
    if (d.total)
      left_ = *d.total;
    const auto text = d.bytes.text();
    partial_.append(text);
    left_ -= std::min(left_, text.size());
    if (left_ != 0)
      return;
    auto event =
      core::parse_cbor({reinterpret_cast<const std::uint8_t*>(partial_.data()), partial_.size()});
    partial_.clear();
    if (!event)
      return stop(fail(ec::downstream_5xx, "an event is not CBOR: " + event.error().message));
    auto more = sink_(std::move(*event));
    if (!more)
      return stop(std::unexpected{more.error()});
    if (!*more)
      stop({});
  }

  void on(oap::stream_error& e) {
    if (e.corr != corr_ || outcome_)
      return;
    if (e.local)
      outcome_ =
        fail(ec::degraded, "the connection was lost (" + std::string{to_string(e.why)} + ")");
    else
      outcome_ = std::unexpected{
        error{core::from_oap_reason(static_cast<std::uint16_t>(e.why)).value_or(ec::internal),
              std::string{e.message.text()}, e.retry_after_ms}};
  }

  void on(oap::ended& e) {
    if (e.corr == corr_ && !outcome_)
      outcome_ = fail(ec::downstream_5xx, "the node answered without events");
  }

  void on(oap::closed&) {
    if (!outcome_)
      outcome_ = fail(ec::degraded, "the node closed the connection");
  }

  void stop(result<void> how) {
    outcome_ = std::move(how);
    link_.session().cancel(corr_);
  }

  connection& link_;
  const event_sink& sink_;
  oap::corr_t corr_ = 0;
  std::string partial_;  ///< of an event that takes several frames
  std::size_t left_ = 0; ///< what is missing of it
  std::optional<result<void>> outcome_;
};

result<object_info> object_of(const json& map) {
  object_info info;
  auto text = map.find("cid");
  auto size = map.find("size");
  auto cid = text != map.end() && text->is_string()
               ? core::cid::parse(text->get_ref<const std::string&>())
               : std::nullopt;
  if (!cid || size == map.end() || !size->is_number_integer())
    return fail(ec::downstream_5xx, "the node's answer names no object");
  info.cid = *cid;
  info.size = size->get<std::uint64_t>();
  return info;
}

} // namespace

struct client::impl {
  client_options options;
  std::unique_ptr<connection> link;

  result<reply> run(const request& r) { return conversation{*link, r}.run(options.token); }

  result<object_info> upload(const char* operation, json args, const byte_source& source) {
    auto r = run({operation, std::move(args), &source, nullptr, {}, options.idle_timeout});
    if (!r)
      return std::unexpected{r.error()};
    auto info = object_of(r->map);
    if (info)
      info->existed = r->status == 200;
    return info;
  }
};

client::client(std::unique_ptr<impl> p) noexcept : impl_(std::move(p)) {
  // nop
}
client::client(client&&) noexcept = default;
client& client::operator=(client&&) noexcept = default;
client::~client() = default;

result<client> client::connect(const client_options& options) {
  auto link = connection::open(options);
  if (!link)
    return std::unexpected{link.error()};
  auto p = std::make_unique<impl>();
  p->options = options;
  p->link = std::move(*link);
  return client{std::move(p)};
}

result<json> client::call(const std::string& operation, const json& args) {
  auto& o = impl_->options;
  auto r = impl_->run({operation, args, nullptr, nullptr, o.overall_timeout, o.overall_timeout});
  if (!r)
    return std::unexpected{r.error()};
  return std::move(r->map);
}

result<void> client::listen(const std::string& operation, const json& args,
                            const event_sink& sink) {
  return listening{*impl_->link, sink}.run(impl_->options.token, operation, args);
}

result<object_info> client::put(const byte_source& source,
                                const std::optional<core::cid>& expected) {
  json args = json::object();
  if (expected)
    args["cid"] = expected->to_text();
  return impl_->upload("o.put", std::move(args), source);
}

result<object_info> client::put_replica(const byte_source& source, const core::cid& cid,
                                        const std::string& store) {
  return impl_->upload("o.replica", {{"cid", cid.to_text()}, {"store", store}}, source);
}

result<object_info> client::get(const core::cid& cid, const std::optional<byte_range>& range,
                                const byte_sink& sink) {
  json args{{"cid", cid.to_text()}};
  if (range) {
    args["range"] = json::array({range->first});
    if (range->last)
      args["range"].push_back(*range->last);
  }
  core::b3::hasher hash;
  std::uint64_t received = 0;
  const byte_sink counted = [&](const bytes& b) -> result<void> {
    if (!range)
      hash.update(b.view());
    received += b.size();
    return sink(b);
  };
  auto r =
    impl_->run({"o.get", std::move(args), nullptr, &counted, {}, impl_->options.idle_timeout});
  if (!r)
    return std::unexpected{r.error()};
  auto info = object_of(r->map);
  if (!info)
    return info;
  if (info->cid != cid || (!range && (received != info->size || hash.finish() != cid.hash)))
    return fail(ec::bad_digest, "the bytes received are not " + cid.to_text());
  return info;
}

result<std::chrono::nanoseconds> client::ping() {
  const auto start = now();
  auto& o = impl_->options;
  auto r =
    impl_->run({"ping", json::object(), nullptr, nullptr, o.overall_timeout, o.overall_timeout});
  if (!r)
    return std::unexpected{r.error()};
  return now() - start;
}

std::string client::tls_description() const {
  return impl_->link->tls_description();
}

} // namespace ron::sdk
