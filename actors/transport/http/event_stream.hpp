#pragma once

#include "core/error.hpp"
#include "transport/exchange.hpp"

#include <string>
#include <string_view>

/// Events as text (WHATWG HTML, 9.2 Server-sent events).
namespace ron::http {

/// What a stream begins with: how long a browser waits before it connects again.
inline constexpr std::string_view first_lines = "retry: 2000\n\n";
/// A comment: nothing has happened.
inline constexpr std::string_view beat_lines = ":\n\n";

/// `id`, and `data` as one line of JSON.
std::string event_lines(const transport::event& e);
/// The last event of a stream that ends by itself: type `error`, the data is an error body.
std::string error_event(const core::error& e, std::string_view corr);

/// Appends `text` as one chunk of a chunked body (RFC 9112, 7.1); nothing for an empty text, which
/// would be the end.
void append_chunk(std::string& out, std::string_view text);
inline constexpr std::string_view last_chunk = "0\r\n\r\n";

} // namespace ron::http
