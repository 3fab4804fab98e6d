#pragma once

#include "core/error.hpp"
#include "core/json_fwd.hpp"
#include "transport/http/head_check.hpp"
#include "transport/http/request_fields.hpp"
#include "transport/inflate.hpp"
#include "transport/operation.hpp"

#include <chrono>
#include <cstddef>
#include <optional>

namespace ron::http {

/// A request as its head tells it: what the operation will see and how to read and answer it.
struct request {
  transport::call call;           ///< without wire, peer, trace, times: those are the connection's
  bool head_only = false;         ///< HEAD
  bool http_1_0 = false;          ///< the caller knows no chunks
  bool has_body = false;
  format answer_format = format::json;
  format body_format = format::json;
  transport::coding body_coding = transport::coding::identity;
  std::optional<std::chrono::milliseconds> patience; ///< X-Deadline-Ms
  std::optional<core::trace_context> trace;          ///< the caller's
};

/// Reads a checked head against the operation table: route, path and query parameters, every
/// field that means something to us, and whether its body may be read at all. `out.call.corr`
/// stays empty when the caller gave none. Everything is filled as far as it went, so that also a
/// refusal is in the caller's format and names its request.
///
/// Errors: not_found, method_not_allowed (text: the allowed methods), bad_request, unauth,
/// body_cap (declared length of a JSON body above `json_bytes_max`), unsupported_coding,
/// unsupported_media.
core::result<void> read_request(const request_head& head, const transport::operation_table& table,
                                std::size_t json_bytes_max, request& out);

/// Parses a collected JSON or CBOR body and adds its fields to `args`.
/// Errors: bad_request (malformed, no object, or a field that path or query gave already).
core::result<void> merge_body(std::string_view body, format f, core::json& args);

} // namespace ron::http
