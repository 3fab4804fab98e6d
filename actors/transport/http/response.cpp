#include "transport/http/response.hpp"

#include "core/error_body.hpp"
#include "core/json.hpp"
#include "transport/http/conditional.hpp"
#include "transport/http/request_fields.hpp"
#include "transport/http/text.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <format>

namespace ron::http {

namespace {

struct phrase {
  std::uint16_t status;
  std::string_view text;
};

// RFC 9110, 15; 507 is RFC 4918. Sorted by status.
constexpr phrase phrases[] = {
  {200, "OK"},
  {201, "Created"},
  {202, "Accepted"},
  {204, "No Content"},
  {206, "Partial Content"},
  {304, "Not Modified"},
  {400, "Bad Request"},
  {401, "Unauthorized"},
  {403, "Forbidden"},
  {404, "Not Found"},
  {405, "Method Not Allowed"},
  {408, "Request Timeout"},
  {409, "Conflict"},
  {412, "Precondition Failed"},
  {413, "Content Too Large"},
  {415, "Unsupported Media Type"},
  {416, "Range Not Satisfiable"},
  {417, "Expectation Failed"},
  {429, "Too Many Requests"},
  {431, "Request Header Fields Too Large"},
  {499, "Client Closed Request"},
  {500, "Internal Server Error"},
  {502, "Bad Gateway"},
  {503, "Service Unavailable"},
  {504, "Gateway Timeout"},
  {507, "Insufficient Storage"},
};
static_assert(std::ranges::is_sorted(phrases, {}, &phrase::status));

constexpr std::array<std::string_view, 7> days{"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// What decides where a message ends, and what the head writer puts there itself.
constexpr std::string_view own_fields[] = {
  "connection", "content-length", "content-type", "date",    "keep-alive", "trailer",
  "te",         "traceparent",    "upgrade",      "x-corr-id", "transfer-encoding"};

bool has_field(std::span<const transport::header> fields, std::string_view name) {
  return std::ranges::any_of(fields, [name](const auto& h) { return iequals(h.name, name); });
}

bool has_no_body(std::uint16_t status) {
  return status == 204 || status == 304;
}

void append_body(std::string& out, std::string_view body, const answer_context& c) {
  if (!c.head_only)
    out.append(body);
}

} // namespace

std::string_view reason_phrase(std::uint16_t status) noexcept {
  auto i = std::ranges::lower_bound(phrases, status, {}, &phrase::status);
  return i != std::end(phrases) && i->status == status ? i->text : std::string_view{};
}

std::string_view date_line::at(std::int64_t wall_ms) noexcept {
  using namespace std::chrono;
  const auto second = wall_ms / 1'000;
  if (second != second_) {
    second_ = second;
    const sys_seconds t{seconds{second}};
    const auto day = floor<std::chrono::days>(t);
    const year_month_day ymd{day};
    const hh_mm_ss time{t - day};
    std::format_to_n(text_, 29, "{}, {:02} {} {:04} {:02}:{:02}:{:02} GMT",
                     http::days[weekday{day}.c_encoding()], static_cast<unsigned>(ymd.day()),
                     http::months[static_cast<unsigned>(ymd.month()) - 1],
                     static_cast<int>(ymd.year()), time.hours().count(), time.minutes().count(),
                     time.seconds().count());
  }
  return {text_, 29};
}

head_writer& head_writer::begin(std::uint16_t status, std::string_view date,
                                std::string_view corr, std::string_view trace) {
  char digits[6];
  auto end = std::to_chars(digits, digits + sizeof digits, status).ptr;
  out_.append("HTTP/1.1 ").append(digits, end).append(" ").append(reason_phrase(status));
  out_.append("\r\n");
  return field("Date", date).field("X-Corr-ID", corr).field("traceparent", trace);
}

head_writer& head_writer::field(std::string_view name, std::string_view value) {
  out_.append(name).append(": ").append(value).append("\r\n");
  return *this;
}

head_writer& head_writer::field(std::string_view name, std::uint64_t value) {
  char digits[20];
  auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  return field(name, std::string_view{digits, end});
}

head_writer& head_writer::foreign(const transport::header& h) {
  const bool own = std::ranges::any_of(own_fields, [&](auto n) { return iequals(n, h.name); });
  return own || !is_token(h.name) || !is_field_value(h.value) ? *this : field(h.name, h.value);
}

void head_writer::end(bool close) {
  if (close)
    field("Connection", "close");
  out_.append("\r\n");
}

core::ec from_status(std::uint16_t status) noexcept {
  for (std::size_t i = 1; i < core::ec_count; ++i)
    if (core::info(static_cast<core::ec>(i)).http_status == status)
      return static_cast<core::ec>(i);
  return core::ec::internal;
}

void append_answer(std::string& out, const transport::answer& a, const answer_context& c) {
  if (a.status >= 400 && a.result.is_null() && a.content_type.empty())
    return append_error(out, {from_status(a.status), std::string{reason_phrase(a.status)}}, c,
                        a.headers);
  head_writer head{out};
  head.begin(a.status, c.date, c.corr, c.trace);
  for (const auto& h : a.headers)
    head.foreign(h);
  head.field("X-Content-Type-Options", "nosniff");
  if (!a.content_type.empty()) {
    head.field("Content-Type", is_field_value(a.content_type) ? a.content_type : "text/plain");
    head.field("Content-Length", a.text.size()).end(c.close);
    append_body(out, a.text, c);
  } else if (a.result.is_null()) {
    if (!has_no_body(a.status))
      head.field("Content-Length", std::uint64_t{0});
    head.end(c.close);
  } else if (c.cbor) {
    const auto body = core::dump_cbor(a.result);
    head.field("Content-Type", media_type(format::cbor));
    head.field("Content-Length", body.size()).end(c.close);
    append_body(out, body.text(), c);
  } else {
    const auto body = core::dump_json(a.result);
    head.field("Content-Type", media_type(format::json));
    head.field("Content-Length", body.size()).end(c.close);
    append_body(out, body, c);
  }
}

void append_error(std::string& out, const core::error& e, const answer_context& c,
                  std::span<const transport::header> extra) {
  const auto& row = core::info(e.code);
  core::error said = e;
  head_writer head{out};
  head.begin(row.http_status, c.date, c.corr, c.trace);
  for (const auto& h : extra)
    head.foreign(h);
  if (row.http_status == 405 && !has_field(extra, "allow")) {
    head.foreign({"Allow", e.message});
    said.message = e.message.empty() ? "this method is not served here"
                                     : "this method is not allowed here, only " + e.message;
  }
  if (row.http_status == 401)
    head.field("WWW-Authenticate", "Bearer");
  if (const auto s = core::retry_after_s(e); s != 0)
    head.field("Retry-After", std::uint64_t{s});
  if (!has_field(extra, "cache-control"))
    head.field("Cache-Control", "no-store");
  head.field("X-Content-Type-Options", "nosniff");
  if (c.cbor) {
    const auto body = core::error_body_cbor(said, c.corr);
    head.field("Content-Type", media_type(format::cbor));
    head.field("Content-Length", body.size()).end(c.close);
    append_body(out, body.text(), c);
  } else {
    const auto body = core::error_body(said, c.corr);
    head.field("Content-Type", media_type(format::json));
    head.field("Content-Length", body.size()).end(c.close);
    append_body(out, body, c);
  }
}

void append_object_head(std::string& out, const transport::object_head& h, bool not_modified,
                        const answer_context& c) {
  head_writer head{out};
  const std::uint16_t status = not_modified ? 304 : h.partial ? 206 : 200;
  head.begin(status, c.date, c.corr, c.trace);
  head.field("ETag", etag_of(h.cid));
  head.field("Cache-Control", c.immutable ? "public, max-age=31536000, immutable" : "no-cache");
  head.field("X-Content-Type-Options", "nosniff");
  head.field("Content-Security-Policy", "sandbox; default-src 'none'");
  if (not_modified)
    return head.end(c.close);
  const bool fit = !h.content_type.empty() && is_field_value(h.content_type);
  const auto type = fit ? std::string_view{h.content_type} : "application/octet-stream";
  head.field("Accept-Ranges", "bytes");
  if (h.partial && h.length > 0)
    head.field("Content-Range", content_range(h.first, h.length, h.size));
  head.field("Content-Type", type);
  if (!is_inert(type))
    head.field("Content-Disposition", "attachment");
  head.field("Content-Length", h.length).end(c.close);
}

void append_events_head(std::string& out, bool chunked, const answer_context& c) {
  head_writer head{out};
  head.begin(200, c.date, c.corr, c.trace);
  head.field("Content-Type", "text/event-stream");
  head.field("Cache-Control", "no-store");
  head.field("X-Content-Type-Options", "nosniff");
  if (chunked)
    head.field("Transfer-Encoding", "chunked");
  head.end(c.close);
}

bool is_inert(std::string_view content_type) noexcept {
  auto type = content_type.substr(0, content_type.find_first_of("; \t"));
  auto starts = [type](std::string_view prefix) {
    return type.size() > prefix.size() && iequals(type.substr(0, prefix.size()), prefix);
  };
  if (starts("image/"))
    return !starts("image/svg");
  return starts("audio/") || starts("video/") || iequals(type, "text/plain")
         || iequals(type, "application/pdf");
}

} // namespace ron::http
