#include "core/json.hpp"
#include "transport/http/head_check.hpp"
#include "transport/http/request.hpp"
#include "transport/http/request_parser.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

using namespace ron;

void expect(bool ok) {
  if (!ok)
    std::abort();
}

const transport::operation_table& table() {
  using transport::operation;
  static const transport::operation_table t{{
    operation{.method = "GET", .path = "/v1/o/{cid}"},
    operation{.method = "PUT", .path = "/v1/o", .takes = transport::body::object},
    operation{.method = "POST",
              .path = "/v1/names/{name...}",
              .takes = transport::body::json,
              .query = {{"limit", transport::query_param::type::integer}, {"prefix"}}},
  }};
  return t;
}

} // namespace

/// Any bytes as a request head: no crash; what is let through has no two readings.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const http::head_limits limits;
  const std::string_view text{reinterpret_cast<const char*>(data), size};
  http::head_scanner scanner;
  auto length = scanner.scan(text, limits);
  if (!length || *length == 0)
    return 0;
  expect(*length <= size && *length <= limits.bytes_max);
  const auto head_text = text.substr(0, *length);
  expect(head_text.ends_with("\r\n\r\n"));
  auto head = http::check_head(head_text, limits);
  if (!head)
    return 0;
  expect(head->count("host") == 1 && !head->host.empty());
  expect(head->target.starts_with('/'));
  expect(head->fields.size() <= limits.fields_max);
  expect(head->count("content-length") + head->count("transfer-encoding") <= 1);
  expect(!(head->chunked && (head->content_length || head->http_1_0)));
  http::request_parser parser;
  if (parser.begin(head_text))
    expect(parser.done() == !head->has_body());
  http::request r;
  if (http::read_request(*head, table(), 1 << 20, r))
    expect(r.call.op != nullptr && r.call.args.is_object());
  return 0;
}
