#include "mailbox/send_service.hpp"

#include "core/hash.hpp"
#include "mailbox/packed_answers.hpp"
#include "mailbox/times.hpp"
#include "mailbox/wire_service.hpp"

#include <caf/event_based_actor.hpp>

#include <array>

namespace ron::mailbox {

using core::json;
using core::object_reader;
using transport::exchange_ptr;

namespace {

constexpr std::size_t key_bytes_max = 255;
constexpr std::size_t attrs_max = 32;
constexpr std::size_t attr_name_bytes_max = 128;
constexpr std::size_t attr_bytes_max = 1'024;
constexpr std::uint64_t ttl_s_max = std::chrono::seconds{time_to_live_max}.count();
constexpr std::uint64_t delay_ms_max = milliseconds{delay_max}.count();

std::map<std::string, std::string> read_attrs(object_reader& in) {
  std::map<std::string, std::string> out;
  const auto* attrs = in.optional_object("attrs");
  if (!attrs)
    return out;
  if (attrs->size() > attrs_max)
    in.refuse("attrs", "has more than 32 entries");
  for (const auto& [k, v] : attrs->items()) {
    if (!v.is_string() || k.empty() || k.size() > attr_name_bytes_max
        || v.get_ref<const std::string&>().size() > attr_bytes_max) {
      in.refuse("attrs", "expected texts of at most 1024 bytes by names of at most 128");
      break;
    }
    out.emplace(k, v.get_ref<const std::string&>());
  }
  return out;
}

/// A message, alone or of a batch. With an idempotency key two calls are the same if all of this
/// object is.
void read_message(object_reader& in, bool has_idempotency_key, outgoing_message& m) {
  m.payload = in.binary("payload", core::limits::json_body_bytes_max);
  m.key = in.optional_text("key", {.min_bytes = 1, .max_bytes = key_bytes_max})
            .value_or(std::string{});
  m.attrs = read_attrs(in);
  if (auto ttl = in.optional_uint("ttl_s", 1, ttl_s_max))
    m.ttl = std::chrono::seconds{*ttl};
  m.delay = milliseconds{in.optional_uint("delay_ms", 0, delay_ms_max).value_or(0)};
  if (!has_idempotency_key)
    return;
  const auto all = in.canonical();
  m.body_hash = core::b3::hash({reinterpret_cast<const std::uint8_t*>(all.data()), all.size()});
}

void read_sending(object_reader& in, const exchange_ptr& x, sending& s) {
  s.topic = read_topic(in);
  s.idempotency_key = x->request().idempotency_key;
  if (!s.idempotency_key.empty())
    s.caller = x->caller().id;
}

json to_json(const sent& s) {
  return {{"message_id", s.message_id.text()}, {"duplicate", s.duplicate}};
}

json to_json(const sent_batch& b) {
  auto messages = json::array();
  for (const auto& s : b.messages)
    messages.push_back(to_json(s));
  return {{"messages", std::move(messages)}};
}

template <class Answer, class Request>
void send(const role& box, const exchange_ptr& x, Request what) {
  box.call(x->self(), x->request().deadline, std::move(what))
    .then(
      [x](const Answer& s) {
        if (x->request().packed)
          reply_packed(x, pack(s), 202);
        else
          reply(x, to_json(s), 202);
      },
      fail_with(x));
}

void serve_one(const role& box, const exchange_ptr& x, object_reader& in) {
  outgoing m;
  read_sending(in, x, m);
  read_message(in, !m.idempotency_key.empty(), m);
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  send<sent>(box, x, std::move(m));
}

void serve_batch(const role& box, const exchange_ptr& x, object_reader& in) {
  outgoing_batch b;
  read_sending(in, x, b);
  b.messages.reserve(messages_a_call_max);
  in.objects("messages", messages_a_call_max, [&b](object_reader& one, std::size_t) {
    read_message(one, !b.idempotency_key.empty(), b.messages.emplace_back());
  });
  for (const auto* field : {"payload", "key", "attrs", "ttl_s", "delay_ms"})
    if (in.any(field))
      in.refuse(field, "cannot be given beside messages");
  if (auto ok = in.finish(); !ok)
    return x->fail(ok.error());
  send<sent_batch>(box, x, std::move(b));
}

} // namespace

void serve_send(const role& box, const exchange_ptr& x) {
  auto in = transport::args_of(x->request());
  if (in.has("messages"))
    serve_batch(box, x, in);
  else
    serve_one(box, x, in);
}

} // namespace ron::mailbox
