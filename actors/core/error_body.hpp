#pragma once

#include "core/bytes.hpp"
#include "core/error.hpp"
#include "core/json_fwd.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace ron::core {

/// How long the caller of a failed request should wait, in milliseconds: what the error says, a
/// second for 429 and 503 that say nothing (they always carry Retry-After), else 0 = not said.
std::uint32_t retry_after_ms(const error& e) noexcept;

/// The same as the HTTP field Retry-After has it: whole seconds, rounded up; 0 = not said.
std::uint32_t retry_after_s(const error& e) noexcept;

/// The body of every answer that is no success, on HTTP and as the text of an OAP ERROR to peers
/// that expect one: `{"code","message","reason","retryable","retry_after_ms"?,"corr_id"}`.
/// The message is cut at `limits::error_message_bytes_max`.
std::string error_body(const error& e, std::string_view corr_id);

/// The same object in CBOR.
bytes error_body_cbor(const error& e, std::string_view corr_id);

/// The same object as a value.
json error_json(const error& e, std::string_view corr_id);

} // namespace ron::core
