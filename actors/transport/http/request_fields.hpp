#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/ids.hpp"
#include "transport/http/head_check.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

/// What the fields of a request head mean to us. Pure; views stay inside the head.
namespace ron::http {

/// How a JSON-shaped body is written.
enum class format : std::uint8_t { json, cbor };
std::string_view media_type(format f) noexcept;

/// The id of the request as the caller gave it; nothing when absent, repeated or of another form.
std::optional<core::corr_id> read_corr_id(const request_head& h) noexcept;
/// The caller's trace; nothing when absent, repeated or malformed.
std::optional<core::trace_context> read_trace(const request_head& h) noexcept;
/// What the answer should look like: JSON unless Accept prefers `application/cbor`.
format read_accept(const request_head& h) noexcept;

/// Fields that stand once. Error: bad_request when repeated.
core::result<std::string_view> read_single(const request_head& h, std::string_view name);

/// `X-Deadline-Ms`: milliseconds the caller still waits; nothing when absent.
/// Error: bad_request unless plain digits.
core::result<std::optional<std::chrono::milliseconds>> read_deadline(const request_head& h);

/// The binary macaroon of `Authorization: Bearer <base64url>`; empty when absent.
/// Errors: unauth for another scheme, another alphabet or more than 4 KiB.
core::result<core::bytes> read_capability(const request_head& h);

/// `Idempotency-Key`, empty when absent. Error: bad_request unless 1 to 128 printable bytes.
core::result<std::string_view> read_idempotency_key(const request_head& h);

/// What the body of a JSON route is written in; JSON when not said.
/// Error: unsupported_media for anything but application/json and application/cbor.
core::result<format> read_content_type(const request_head& h);

/// All values of a list field in one text, comma separated; empty when absent.
std::string joined(const request_head& h, std::string_view name);

} // namespace ron::http
