#pragma once

#include "core/error.hpp"
#include "core/ids.hpp"
#include "transport/exchange.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ron::http {

/// The reason phrase of a status; empty for one we never send.
std::string_view reason_phrase(std::uint16_t status) noexcept;

/// The value of Date (RFC 9110, 5.6.7), written once a second. One thread; one per shard.
class date_line {
public:
  /// "Sun, 06 Nov 1994 08:49:37 GMT" for `wall_ms` since 1970.
  std::string_view at(std::int64_t wall_ms) noexcept;

private:
  std::int64_t second_ = -1;
  char text_[30] = {};
};

/// Writes the head of one answer into a string: no allocation beyond that string. Every head has
/// Date, X-Corr-ID and traceparent. Call `begin`, any fields, then `end`.
class head_writer {
public:
  /// Appends to `out`, which outlives the writer.
  explicit head_writer(std::string& out) noexcept : out_(out) {
    // nop
  }

  head_writer& begin(std::uint16_t status, std::string_view date, std::string_view corr,
                     std::string_view trace);
  head_writer& field(std::string_view name, std::string_view value);
  head_writer& field(std::string_view name, std::uint64_t value);
  /// A field that an operation chose. Left out when its name is no token, its value has control
  /// bytes, or it is one that only the connection may set (framing, Date, Connection).
  head_writer& foreign(const transport::header& h);
  /// `close` says that the connection ends after this answer.
  void end(bool close);

private:
  std::string& out_;
};

/// Everything that identifies an answer in its head and body.
struct answer_context {
  std::string_view date;
  std::string_view corr;
  std::string_view trace;
  bool close = false;     ///< the connection ends after the answer
  bool head_only = false; ///< HEAD: the same fields, no body
  bool cbor = false;      ///< the caller prefers CBOR
  bool immutable = false; ///< the target names the object by its id, so the answer never changes
};

/// Appends a whole answer that is no object: head and body. A status of 400 and more without a
/// result gets the error body of its row in the error table.
void append_answer(std::string& out, const transport::answer& a, const answer_context& c);

/// Appends the whole answer to an error: status, Retry-After, Allow (405, whose message is the
/// list of methods), WWW-Authenticate (401), `extra` fields and the error body.
void append_error(std::string& out, const core::error& e, const answer_context& c,
                  std::span<const transport::header> extra = {});

/// The error value a bare status stands for; `internal` for one that is in no row.
core::ec from_status(std::uint16_t status) noexcept;

/// Appends the head of an object answer: validators, caching, the byte range, and what keeps a
/// browser from running it. `not_modified` makes it the 304 without a body.
void append_object_head(std::string& out, const transport::object_head& h, bool not_modified,
                        const answer_context& c);

/// Appends the head of a stream of events. Not `chunked`: it ends with the connection.
void append_events_head(std::string& out, bool chunked, const answer_context& c);

/// True for types a browser shows without running anything: images but SVG, audio, video, plain
/// text and PDF. All others are sent as downloads.
bool is_inert(std::string_view content_type) noexcept;

} // namespace ron::http
