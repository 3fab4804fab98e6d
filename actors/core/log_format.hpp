#pragma once

#include "core/log.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace ron::core::log {

/// Longest line, its newline included.
inline constexpr std::size_t line_bytes_max = 8'192;
/// Longest message and longest text of a field; longer ones are cut.
inline constexpr std::size_t text_bytes_max = 1'024;

struct record {
  std::int64_t wall_ms = 0;
  level severity = level::info;
  std::string_view component;
  std::string_view message;
  std::span<const field> values;
  std::uint32_t suppressed = 0; ///< lines of the same place left out before this one
};

/// `{"ts":"2026-01-31T12:00:00.123Z","level":"info","component":..,"msg":..,...}` and a newline.
/// Fields that do not fit are left out and `"truncated":true` says so. Always valid JSON in UTF-8.
std::string format_json(const record& r);

/// `12:00:00.123 INFO  transport  message key=value ...` and a newline. Safe on a terminal.
std::string format_text(const record& r);

} // namespace ron::core::log
