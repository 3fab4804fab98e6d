#include "transport/http/head_check.hpp"

#include "transport/http/text.hpp"

#include <algorithm>
#include <array>

namespace ron::http {

namespace {

using core::ec;
using core::fail;

constexpr std::array<std::string_view, 7> method_names{"GET",    "HEAD",    "PUT",  "POST",
                                                       "DELETE", "OPTIONS", "PATCH"};
static_assert(static_cast<std::size_t>(method::patch) + 1 == method_names.size());

constexpr std::size_t length_digits_max = 19; // fits 64 bits without an overflow check

constexpr auto host_bytes = alphanumeric_and("-._~!$&'()*+;=%:[]");
// Bytes a URI may not hold but browsers send raw in queries are let through.
constexpr auto target_bytes = alphanumeric_and("-._~:/?[]@!$&'()*+,;=%^`{|}");

/// Takes the next line off `rest`. Error: bad_request for a bare CR, a bare LF or no end.
core::result<std::string_view> take_line(std::string_view& rest) {
  auto end = rest.find_first_of("\r\n");
  if (end == std::string_view::npos || rest.substr(end, 2) != "\r\n")
    return fail(ec::bad_request, "a line of the request head does not end in CRLF");
  auto line = rest.substr(0, end);
  rest.remove_prefix(end + 2);
  return line;
}

core::result<void> check_method(std::string_view text, request_head& out) {
  if (text == "CONNECT" || text == "TRACE")
    return fail(ec::method_not_allowed, "");
  auto i = std::ranges::find(method_names, text);
  if (i == method_names.end())
    return fail(ec::bad_request, "unknown request method");
  out.verb = static_cast<method>(i - method_names.begin());
  return {};
}

core::result<void> check_version(std::string_view text, request_head& out) {
  if (text != "HTTP/1.1" && text != "HTTP/1.0")
    return fail(ec::bad_request, "unknown HTTP version; this server speaks HTTP/1.1");
  out.http_1_0 = text.back() == '0';
  out.keep_alive = !out.http_1_0;
  return {};
}

core::result<void> check_request_line(std::string_view line, const head_limits& limits,
                                      request_head& out) {
  auto first = line.find(' ');
  auto last = line.rfind(' ');
  if (first == std::string_view::npos || first == last)
    return fail(ec::bad_request, "the request line is not `method target version`");
  if (auto r = check_method(line.substr(0, first), out); !r)
    return r;
  if (auto r = check_version(line.substr(last + 1), out); !r)
    return r;
  out.target = line.substr(first + 1, last - first - 1);
  if (out.target.size() > limits.target_max)
    return fail(ec::headers_too_large, "the request target is longer than "
                                         + std::to_string(limits.target_max) + " bytes");
  if (out.target == "*" && out.verb == method::options)
    return fail(ec::method_not_allowed, "");
  if (out.target.empty() || !all_in(out.target, target_bytes))
    return fail(ec::bad_request, "the request target has bytes that no URI has");
  return {};
}

core::result<field> check_field(std::string_view line) {
  if (is_blank(line.front()))
    return fail(ec::bad_request, "folded header lines are refused");
  auto colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0)
    return fail(ec::bad_request, "a header line has no name");
  field f{line.substr(0, colon), trim(line.substr(colon + 1))};
  if (!is_token(f.name))
    return fail(ec::bad_request, "a header name has bytes that no token has");
  if (!is_field_value(f.value))
    return fail(ec::bad_request, "a header value has control bytes");
  return f;
}

core::result<void> check_host(request_head& out) {
  if (out.count("host", &out.host) != 1)
    return fail(ec::bad_request, "a request has exactly one Host");
  if (out.host.empty() || !all_in(out.host, host_bytes))
    return fail(ec::bad_request, "Host is not `name` or `name:port`");
  auto rest = out.host;
  if (rest.front() == '[') {
    auto close = rest.find(']');
    if (close == std::string_view::npos)
      return fail(ec::bad_request, "Host has an unterminated address");
    rest.remove_prefix(close + 1);
    if (!rest.empty() && rest.front() != ':')
      return fail(ec::bad_request, "Host is not `name` or `name:port`");
  } else if (rest.find_first_of("[]") != std::string_view::npos || rest.front() == ':') {
    return fail(ec::bad_request, "Host is not `name` or `name:port`");
  }
  if (auto colon = rest.find(':'); colon != std::string_view::npos) {
    auto port = rest.substr(colon + 1);
    if (port.empty() || port.size() > 5
        || port.find_first_not_of("0123456789") != std::string_view::npos)
      return fail(ec::bad_request, "Host is not `name` or `name:port`");
  }
  return {};
}

/// Origin-form as it is; of an absolute-form that names this Host the path and query.
core::result<void> check_form(request_head& out) {
  if (out.target.front() == '/')
    return {};
  for (std::string_view scheme : {"http://", "https://"}) {
    if (!iequals(out.target.substr(0, scheme.size()), scheme))
      continue;
    auto rest = out.target.substr(scheme.size());
    auto path = rest.find('/');
    if (!iequals(rest.substr(0, path), out.host))
      return fail(ec::bad_request, "the request target names another host than Host");
    out.target = path == std::string_view::npos ? "/" : rest.substr(path);
    return {};
  }
  return fail(ec::bad_request, "the request target is not origin-form");
}

core::result<void> check_framing(request_head& out) {
  std::string_view length;
  std::string_view coding;
  const auto lengths = out.count("content-length", &length);
  const auto codings = out.count("transfer-encoding", &coding);
  if (lengths > 1 || codings > 1 || (lengths && codings))
    return fail(ec::bad_request, "the framing of the request is ambiguous");
  if (codings) {
    if (out.http_1_0)
      return fail(ec::bad_request, "HTTP/1.0 has no transfer codings");
    if (!iequals(coding, "chunked"))
      return fail(ec::bad_request, "the only transfer coding is chunked");
    out.chunked = true;
  }
  if (lengths) {
    if (length.empty() || length.size() > length_digits_max
        || length.find_first_not_of("0123456789") != std::string_view::npos
        || (length.size() > 1 && length.front() == '0'))
      return fail(ec::bad_request, "Content-Length is not one plain number");
    std::uint64_t n = 0;
    for (char c : length)
      n = n * 10 + static_cast<std::uint64_t>(c - '0');
    out.content_length = n;
  }
  return {};
}

core::result<void> check_expect(request_head& out) {
  std::string_view value;
  const auto n = out.count("expect", &value);
  if (n == 0)
    return {};
  if (n > 1 || !iequals(value, "100-continue"))
    return fail(ec::expectation_failed, "the only expectation served is 100-continue");
  out.expects_continue = !out.http_1_0; // RFC 9110, 10.1.1: ignored in HTTP/1.0
  return {};
}

/// The options of every Connection field; `close` wins.
void read_connection(request_head& out) {
  bool close = false;
  bool keep = false;
  for (const auto& f : out.fields) {
    if (!iequals(f.name, "connection"))
      continue;
    for (auto rest = f.value; !rest.empty();) {
      auto option = take_until(rest, ',');
      close |= iequals(option, "close");
      keep |= iequals(option, "keep-alive");
    }
  }
  out.keep_alive = !close && (keep || !out.http_1_0);
}

} // namespace

std::string_view to_string(method m) noexcept {
  return method_names[static_cast<std::size_t>(m)];
}

std::size_t request_head::count(std::string_view name, std::string_view* value) const noexcept {
  std::size_t n = 0;
  for (const auto& f : fields) {
    if (!iequals(f.name, name))
      continue;
    ++n;
    if (value)
      *value = f.value;
  }
  return n;
}

core::result<std::size_t> head_scanner::scan(std::string_view so_far, const head_limits& limits) {
  if (!so_far.empty() && !token_bytes[static_cast<unsigned char>(so_far.front())])
    return fail(ec::bad_request, "this is not an HTTP request");
  auto text = so_far.substr(0, limits.bytes_max);
  for (;;) {
    auto lf = text.find('\n', seen_);
    if (lf == std::string_view::npos) {
      seen_ = text.size();
      break;
    }
    seen_ = lf + 1;
    if (lf == 0 || text[lf - 1] != '\r')
      return fail(ec::bad_request, "a line of the request head does not end in CRLF");
    if (lf >= 3 && text[lf - 2] == '\n')
      return lf + 1;
  }
  if (so_far.size() >= limits.bytes_max)
    return fail(ec::headers_too_large, "the request head is longer than "
                                         + std::to_string(limits.bytes_max) + " bytes");
  return std::size_t{0};
}

core::result<request_head> check_head(std::string_view text, const head_limits& limits) {
  if (text.size() > limits.bytes_max)
    return fail(ec::headers_too_large, "the request head is longer than "
                                         + std::to_string(limits.bytes_max) + " bytes");
  request_head out;
  auto line = take_line(text);
  if (!line)
    return std::unexpected{std::move(line.error())};
  if (auto r = check_request_line(*line, limits, out); !r)
    return std::unexpected{std::move(r.error())};
  out.fields.reserve(16);
  for (;;) {
    line = take_line(text);
    if (!line)
      return std::unexpected{std::move(line.error())};
    if (line->empty())
      break;
    if (out.fields.size() == limits.fields_max)
      return fail(ec::headers_too_large, "the request head has more than "
                                           + std::to_string(limits.fields_max) + " fields");
    auto f = check_field(*line);
    if (!f)
      return std::unexpected{std::move(f.error())};
    out.fields.push_back(*f);
  }
  if (!text.empty())
    return fail(ec::bad_request, "bytes follow the request head");
  for (auto check : {check_host, check_form, check_framing, check_expect})
    if (auto r = check(out); !r)
      return std::unexpected{std::move(r.error())};
  read_connection(out);
  return out;
}

} // namespace ron::http
