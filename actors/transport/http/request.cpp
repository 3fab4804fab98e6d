#include "transport/http/request.hpp"

#include "core/json.hpp"
#include "core/utf8.hpp"
#include "transport/http/conditional.hpp"
#include "transport/http/target.hpp"

namespace ron::http {

namespace {

using core::ec;
using core::fail;
using transport::operation;

core::result<void> read_target(const request_head& head, const transport::operation_table& table,
                               request& out) {
  const auto target = split_target(head.target);
  auto found = table.find_http(to_string(head.verb), target.path);
  if (!found)
    return std::unexpected{std::move(found.error())};
  auto& c = out.call;
  c.op = found->op;
  for (auto& [name, value] : found->params) {
    if (!core::valid_utf8(value))
      return fail(ec::bad_request, "the path is not UTF-8");
    c.args[std::string{name}] = std::move(value);
  }
  return read_query(target.query, c.op->query, c.args);
}

core::result<void> read_conditions(const request_head& head, request& out) {
  auto& c = out.call;
  std::string_view range;
  if (head.verb == method::get && head.count("range", &range) == 1)
    c.range = parse_range(range);
  auto if_match = read_single(head, "if-match");
  if (!if_match)
    return std::unexpected{std::move(if_match.error())};
  c.if_match = *if_match;
  c.if_none_match = joined(head, "if-none-match");
  auto if_range = read_single(head, "if-range");
  if (!if_range)
    return std::unexpected{std::move(if_range.error())};
  c.if_range = *if_range;
  return {};
}

core::result<void> read_caller(const request_head& head, request& out) {
  auto patience = read_deadline(head);
  if (!patience)
    return std::unexpected{std::move(patience.error())};
  out.patience = *patience;
  auto key = read_idempotency_key(head);
  if (!key)
    return std::unexpected{std::move(key.error())};
  out.call.idempotency_key = *key;
  auto last = read_single(head, "last-event-id");
  if (!last)
    return std::unexpected{std::move(last.error())};
  out.call.last_event_id = *last;
  auto capability = read_capability(head);
  if (!capability)
    return std::unexpected{std::move(capability.error())};
  out.call.capability = std::move(*capability);
  return {};
}

core::result<void> check_json_body(const request_head& head, std::size_t bytes_max, request& out) {
  if (head.content_length.value_or(0) > bytes_max)
    return fail(ec::body_cap, "the body is larger than " + std::to_string(bytes_max) + " bytes");
  auto type = read_content_type(head);
  if (!type)
    return std::unexpected{std::move(type.error())};
  out.body_format = *type;
  auto coding = transport::parse_coding(joined(head, "content-encoding"));
  if (!coding)
    return std::unexpected{std::move(coding.error())};
  out.body_coding = *coding;
  return {};
}

core::result<void> check_body(const request_head& head, std::size_t json_bytes_max, request& out) {
  out.has_body = head.has_body();
  switch (out.call.op->takes) {
  case transport::body::none:
    if (out.has_body)
      return fail(ec::bad_request, "this route takes no body");
    return {};
  case transport::body::json:
    return out.has_body ? check_json_body(head, json_bytes_max, out) : core::result<void>{};
  case transport::body::object:
    // The bytes are named by their hash: what is stored must be what was sent.
    if (head.count("content-encoding") > 0)
      return fail(ec::unsupported_coding, "objects are stored as they are sent");
    out.call.body_length = head.content_length;
    return {};
  }
  return fail(ec::internal, "unknown kind of body");
}

} // namespace

core::result<void> read_request(const request_head& head, const transport::operation_table& table,
                                std::size_t json_bytes_max, request& out) {
  out.call.args = core::json::object();
  out.head_only = head.verb == method::head;
  out.http_1_0 = head.http_1_0;
  out.answer_format = read_accept(head);
  if (auto corr = read_corr_id(head))
    out.call.corr = *corr;
  out.trace = read_trace(head);
  if (auto ok = read_target(head, table, out); !ok)
    return ok;
  if (auto ok = read_conditions(head, out); !ok)
    return ok;
  if (auto ok = read_caller(head, out); !ok)
    return ok;
  return check_body(head, json_bytes_max, out);
}

core::result<void> merge_body(std::string_view body, format f, core::json& args) {
  const core::byte_view raw{reinterpret_cast<const std::uint8_t*>(body.data()), body.size()};
  core::json_limits limits;
  limits.bytes_max = body.size(); // its cap was enforced while it was read
  auto value = f == format::cbor ? core::parse_cbor(raw, limits) : core::parse_json(raw, limits);
  if (!value)
    return std::unexpected{std::move(value.error())};
  if (!value->is_object())
    return fail(ec::bad_request, "the body is no object");
  for (auto& [name, field] : value->items()) {
    if (args.contains(name))
      return fail(ec::bad_request,
                  "field `" + name + "` is given by the path or the query already");
    args[name] = std::move(field);
  }
  return {};
}

} // namespace ron::http
