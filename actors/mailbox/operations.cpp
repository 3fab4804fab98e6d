#include "mailbox/operations.hpp"

#include "core/ids.hpp"
#include "core/json.hpp"
#include "core/object_reader.hpp"
#include "mailbox/packed_answers.hpp"
#include "mailbox/send_service.hpp"
#include "mailbox/stream_service.hpp"
#include "mailbox/times.hpp"
#include "mailbox/wire_service.hpp"

#include <caf/event_based_actor.hpp>

namespace ron::mailbox {

using core::error;
using core::json;
using core::object_reader;
using core::result;
using transport::exchange_ptr;

namespace {

constexpr std::size_t receipts_max = 100;
constexpr std::uint64_t page_max = 1'000;
constexpr std::uint64_t visibility_ms_min = 250;
constexpr std::uint64_t visibility_ms_max = milliseconds{visibility_max}.count();
/// Dead letters that one call puts back, unless it says otherwise; also the most it may ask for.
constexpr std::uint64_t redrive_max = 1'000;
constexpr std::uint64_t wait_s_max = 30;
constexpr std::uint64_t heartbeat_s_max = 30;
constexpr std::uint64_t heartbeat_s_default = 15;
/// Deliveries that a subscription may hold unsettled.
constexpr std::uint64_t held_max_default = 100;
constexpr std::uint64_t held_max_max = 1'000;
/// A page of a feed ends with the message that reaches this: it fits into one frame.
constexpr std::size_t page_payload_bytes = 32u << 10;
/// A long poll is answered at its end; the answer gets this much time on top.
constexpr std::chrono::milliseconds answer_grace{2'000};

// -- receive ---------------------------------------------------------------------

milliseconds read_visibility(object_reader& in, const operation_limits& limits) {
  return milliseconds{in.optional_uint("visibility_ms", visibility_ms_min, visibility_ms_max)
                        .value_or(static_cast<std::uint64_t>(limits.visibility.get().count()))};
}

void serve_receive(const role& box, const operation_limits& limits, const exchange_ptr& x) {
  auto in = transport::args_of(x->request());
  receive r;
  r.topic = read_topic(in);
  r.most.messages = in.optional_uint("max", 1, messages_a_call_max).value_or(1);
  r.visibility = read_visibility(in, limits);
  const auto wait = std::chrono::seconds{in.optional_uint("wait_s", 0, wait_s_max).value_or(0)};
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  auto answer = [x](const received& got) {
    if (x->request().packed)
      return reply_packed(x, pack(got.messages));
    json messages = json::array();
    for (const auto& d : got.messages)
      messages.push_back(to_json(d));
    reply(x, {{"messages", std::move(messages)}});
  };
  if (wait.count() == 0)
    return box.call(x->self(), x->request().deadline, std::move(r)).then(answer, fail_with(x));
  // A long poll waits in the mailbox's own bounded line, not on one of the few permits.
  auto target = box.role().get();
  if (!target)
    return x->fail({core::ec::degraded, "the mailbox is not available"});
  const auto now = x->self()->clock().now();
  r.wait_until = now + wait;
  r.reader = new_reader();
  leave_on_cancel(box, x, r.topic, r.reader);
  const auto timeout = core::timeout_until(r.wait_until + answer_grace, now);
  x->self()
    ->request(target, timeout, std::move(r))
    .then(answer, [x](const caf::error& e) { x->fail(core::to_error(e)); });
}

// -- subscriptions and feeds --------------------------------------------------------

milliseconds read_heartbeat(object_reader& in) {
  return std::chrono::seconds{
    in.optional_uint("heartbeat_s", 1, heartbeat_s_max).value_or(heartbeat_s_default)};
}

/// The id of a message, or nothing.
std::string read_place(object_reader& in, const char* name) {
  auto text = in.optional_text(name, {.min_bytes = 1, .max_bytes = core::ulid::text_size});
  if (!text)
    return {};
  const auto id = core::ulid::parse(*text);
  if (!id)
    in.refuse(name, "expected the id of a message");
  return id ? id->to_text() : std::string{};
}

void serve_subscribe(const role& box, const operation_limits& limits, const exchange_ptr& x) {
  object_reader in{x->request().args};
  subscription_options o;
  o.topic = read_topic(in);
  o.visibility = read_visibility(in, limits);
  o.held_max = static_cast<std::uint32_t>(
    in.optional_uint("max", 1, held_max_max).value_or(held_max_default));
  o.heartbeat = read_heartbeat(in);
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  // Last-Event-ID needs no answer here: what was not acknowledged comes again.
  subscribe(box, x, std::move(o));
}

void serve_follow(const role& box, const exchange_ptr& x) {
  auto args = x->request().args;
  if (const auto& last = x->request().last_event_id; !last.empty())
    args["after"] = last; // a browser that comes back repeats the target it began with
  object_reader in{args};
  follow_options o;
  o.topic = read_topic(in);
  o.after = read_place(in, "after");
  o.heartbeat = read_heartbeat(in);
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  follow(box, x, std::move(o));
}

void serve_read(const role& box, const exchange_ptr& x) {
  object_reader in{x->request().args};
  browse q;
  q.topic = read_topic(in);
  q.what.after = read_place(in, "after");
  q.what.before = read_place(in, "before");
  if (!q.what.after.empty() && !q.what.before.empty())
    in.refuse("before", "cannot be given beside after");
  const auto limit = in.optional_uint("limit", 1, messages_a_call_max).value_or(20);
  q.what.most = {limit, page_payload_bytes};
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  box.call(x->self(), x->request().deadline, std::move(q))
    .then(
      [x, limit](const browsed& page) {
        json items = json::array();
        std::size_t bytes = 0;
        for (const auto& m : page.messages) {
          bytes += m.payload.size();
          items.push_back(shown_json(m));
        }
        const bool more = items.size() == limit || bytes >= page_payload_bytes;
        reply(x, {{"items", std::move(items)},
                  {"next_cursor", more ? json(page.cursor) : json(nullptr)}});
      },
      fail_with(x));
}

// -- receipts ----------------------------------------------------------------------

void serve_settle(const role& box, bool ack, const exchange_ptr& x) {
  auto in = transport::args_of(x->request());
  settle s;
  s.topic = read_topic(in);
  s.receipts = in.texts("receipts", receipts_max, {.min_bytes = 1, .max_bytes = 64});
  s.ack = ack;
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  auto receipts = s.receipts;
  box.call(x->self(), x->request().deadline, std::move(s))
    .then(
      [x, receipts](const settled& done) {
        if (x->request().packed)
          return reply_packed(x, pack(done.statuses, receipts));
        json results = json::array();
        for (std::size_t i = 0; i < receipts.size() && i < done.statuses.size(); ++i)
          results.push_back({{"receipt", receipts[i]},
                             {"status", std::string{to_string(done.statuses[i])}}});
        reply(x, {{"results", std::move(results)}});
      },
      fail_with(x));
}

// -- looking -----------------------------------------------------------------------

void serve_look(const role& box, bool dead, const exchange_ptr& x) {
  object_reader in{x->request().args};
  look q;
  q.topic = read_topic(in);
  q.limit = static_cast<std::uint32_t>(in.optional_uint("limit", 1, page_max).value_or(100));
  q.dead = dead;
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  box.call(x->self(), x->request().deadline, std::move(q))
    .then(
      [x](const headlines& page) {
        json items = json::array();
        for (const auto& h : page.items)
          items.push_back({{"message_id", h.message_id.text()},
                           {"key", h.key.empty() ? json(nullptr) : json(h.key)},
                           {"attempts", h.attempts},
                           {"size", h.size},
                           {"received_at_ms", h.received_at_ms}});
        reply(x, {{"items", std::move(items)}, {"next_cursor", nullptr}});
      },
      fail_with(x));
}

void serve_redrive(const role& box, const exchange_ptr& x) {
  object_reader in{x->request().args};
  redrive r;
  r.topic = read_topic(in);
  r.max = static_cast<std::uint32_t>(
    in.optional_uint("max", 1, redrive_max).value_or(redrive_max));
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  box.call(x->self(), x->request().deadline, std::move(r))
    .then([x](const redriven& done) { reply(x, {{"messages", done.messages}}); }, fail_with(x));
}

void serve_stats(const role& box, const exchange_ptr& x) {
  object_reader in{x->request().args};
  look_at_topic q{read_topic(in)};
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  box.call(x->self(), x->request().deadline, std::move(q))
    .then(
      [x](const topic_stats& t) {
        reply(x, {{"waiting", t.waiting},
                  {"in_flight", t.in_flight},
                  {"dead", t.dead},
                  {"bytes", t.bytes},
                  {"oldest_ms", t.oldest_ms == 0 ? json(nullptr) : json(t.oldest_ms)}});
      },
      fail_with(x));
}

} // namespace

std::vector<transport::operation> operations(role box, operation_limits limits) {
  using transport::access;
  using transport::body;
  using transport::operation;
  using transport::query_param;
  constexpr auto integer = query_param::type::integer;
  constexpr auto label = transport::route::mailbox;
  std::vector<operation> rows;
  auto add = [&rows](operation row) { rows.push_back(std::move(row)); };
  add({.name = "mb.send", .method = "POST", .path = "/v1/mailbox/{topic}", .label = label,
       .needs = access::write, .takes = body::json,
       .reads_packed = true, .handle = [=](exchange_ptr x) { serve_send(box, x); }});
  add({.name = "mb.peek", .method = "GET", .path = "/v1/mailbox/{topic}", .label = label,
       .needs = access::read, .query = {{"limit", integer}},
       .handle = [=](exchange_ptr x) { serve_look(box, false, x); }});
  add({.name = "mb.recv", .method = "POST", .path = "/v1/mailbox/{topic}/receive", .label = label,
       .needs = access::write, .takes = body::json, .waits = true,
       .reads_packed = true, .handle = [=](exchange_ptr x) { serve_receive(box, limits, x); }});
  add({.name = "mb.sub", .method = "GET", .path = "/v1/mailbox/{topic}/stream", .label = label,
       .needs = access::write,
       .query = {{"visibility_ms", integer}, {"max", integer}, {"heartbeat_s", integer}},
       .waits = true, .handle = [=](exchange_ptr x) { serve_subscribe(box, limits, x); }});
  // Payloads are for those who may receive them: unlike heads they are never public.
  add({.name = "mb.read", .method = "GET", .path = "/v1/mailbox/{topic}/feed", .label = label,
       .needs = access::write, .query = {{"after"}, {"before"}, {"limit", integer}},
       .handle = [=](exchange_ptr x) { serve_read(box, x); }});
  add({.name = "mb.follow", .method = "GET", .path = "/v1/mailbox/{topic}/feed/stream",
       .label = label, .needs = access::write, .query = {{"after"}, {"heartbeat_s", integer}},
       .waits = true, .handle = [=](exchange_ptr x) { serve_follow(box, x); }});
  add({.name = "mb.ack", .method = "POST", .path = "/v1/mailbox/{topic}/ack", .label = label,
       .needs = access::write, .takes = body::json,
       .reads_packed = true, .handle = [=](exchange_ptr x) { serve_settle(box, true, x); }});
  add({.name = "mb.nack", .method = "POST", .path = "/v1/mailbox/{topic}/nack", .label = label,
       .needs = access::write, .takes = body::json,
       .reads_packed = true, .handle = [=](exchange_ptr x) { serve_settle(box, false, x); }});
  add({.name = "mb.dlq", .method = "GET", .path = "/v1/mailbox/{topic}/dlq", .label = label,
       .needs = access::admin, .query = {{"limit", integer}},
       .handle = [=](exchange_ptr x) { serve_look(box, true, x); }});
  add({.name = "mb.redrive", .method = "POST", .path = "/v1/mailbox/{topic}/dlq/redrive",
       .label = label, .needs = access::admin, .takes = body::json,
       .handle = [=](exchange_ptr x) { serve_redrive(box, x); }});
  add({.name = "mb.stats", .method = "GET", .path = "/v1/mailbox/{topic}/stats", .label = label,
       .needs = access::read, .handle = [=](exchange_ptr x) { serve_stats(box, x); }});
  return rows;
}

} // namespace ron::mailbox
