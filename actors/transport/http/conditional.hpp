#pragma once

#include "core/error.hpp"
#include "core/ids.hpp"
#include "transport/exchange.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// Conditional and partial answers (RFC 9110, 13 and 14), in words that hold for either wire.
namespace ron::http {

/// The strong entity tag of an object: its id in quotes.
std::string etag_of(const core::cid& id);

/// True if `if_none_match` (a list of tags or `*`) names `etag`, compared weakly: 304.
/// False when the field is empty or malformed.
bool none_match_hits(std::string_view if_none_match, std::string_view etag) noexcept;

/// True if a range may be served: no If-Range, or one that equals `etag` strongly.
bool if_range_holds(std::string_view if_range, std::string_view etag) noexcept;

/// Reads a Range field: `bytes=a-b`, `bytes=a-` or `bytes=-n`. Malformed, several or other units:
/// nothing, as if the field were not there.
std::optional<transport::range_request> parse_range(std::string_view value) noexcept;

/// Which bytes of an object to send.
struct span_of_object {
  std::uint64_t first = 0;
  std::uint64_t length = 0;
  bool partial = false;
  bool operator==(const span_of_object&) const = default;
};

/// What to send of an object of `size` bytes for this request: its range if there is one and
/// If-Range lets it count, else the whole. Error: range_not_satisfiable, which an operation
/// answers by `unsatisfiable_range`.
core::result<span_of_object> select_span(const transport::call& c, const core::cid& id,
                                         std::uint64_t size);

/// The 416 for an object of `size` bytes, with its `Content-Range: bytes */size`.
transport::answer unsatisfiable_range(std::uint64_t size);

/// "bytes first-last/size". `length` > 0.
std::string content_range(std::uint64_t first, std::uint64_t length, std::uint64_t size);

} // namespace ron::http
