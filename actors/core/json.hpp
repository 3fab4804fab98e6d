#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/json_fwd.hpp"
#include "core/limits.hpp"

#include <nlohmann/json.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace ron::core {

/// What a text or a CBOR item may cost us before it is refused.
struct json_limits {
  std::size_t bytes_max = limits::json_body_bytes_max; ///< of input
  std::size_t depth_max = limits::json_depth_max;      ///< nested arrays and objects
  std::size_t values_max = limits::json_values_max;    ///< keys not counted
};

/// Reads one JSON text (RFC 8259), strictly: valid UTF-8, no byte order mark, no duplicate keys,
/// no trailing bytes, numbers that a double can hold. An integer outside 64 bits becomes a
/// floating point number, which no integer field accepts.
/// Errors: `body_cap` above `bytes_max`, else `bad_request`. Any thread, no recursion.
result<json> parse_json(std::string_view text, const json_limits& lim = {});
result<json> parse_json(byte_view text, const json_limits& lim = {});

/// Reads one CBOR item (RFC 8949) of the JSON data model plus byte strings, strictly: text keys
/// only, no duplicate keys, no tags, no `undefined` or other simple values, finite numbers,
/// integers of 64 bits, no trailing bytes. Definite and indefinite lengths of any encoded width
/// are read; nothing is allocated by a declared length.
/// Errors: as `parse_json`. Any thread; recursion ends at `depth_max`.
result<json> parse_cbor(byte_view data, const json_limits& lim = {});

/// The shortest JSON text: no white space, keys in order, byte strings as base64, bytes that are
/// not UTF-8 as U+FFFD, numbers that are not finite as null. Never throws for a value that one of
/// the parsers returned; recursion as deep as the value.
std::string dump_json(const json& value);

/// Deterministic CBOR (RFC 8949, 4.2.1): definite lengths, shortest forms, keys sorted by their
/// encoded bytes. Equal values give equal bytes, so that they can be signed. Bytes of text that
/// are not UTF-8 become U+FFFD.
bytes dump_cbor(const json& value);

/// Appends the head of a CBOR item: `major` 0..7 and its argument in the shortest form.
void append_cbor_head(std::string& out, unsigned major, std::uint64_t argument);

} // namespace ron::core
