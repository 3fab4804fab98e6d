#pragma once

#include "core/clock.hpp"
#include "core/config_types.hpp"
#include "core/log_components.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <map>
#include <source_location>
#include <string>
#include <string_view>

/// Log lines on stderr: JSON, or text on a terminal. One per process; any thread.
///
///     log::info("transport", "tls handshake failed", {{"peer", address}, {"reason", text}});
///
/// A line that its level hides costs one relaxed load. A shown one is one write of at most 8 KiB
/// that does not wait: when nobody reads stderr, lines are dropped and counted. A place in the
/// code that logs too often is throttled; what it left out is counted and reported.
/// Never hand over secrets: tokens, keys, payloads. A terminal or a file does not forget.
namespace ron::core::log {

using level = config::log_level;
using format = config::log_format;

/// A named value of a line. Holds views: lives as long as the call. Integers, floating point
/// numbers, booleans, text and milliseconds.
class field {
public:
  enum class type : std::uint8_t { text, sint, uint, real, boolean };

  constexpr field(std::string_view key, std::string_view v) noexcept : key_(key), text_(v) {
    // nop
  }
  constexpr field(std::string_view key, const char* v) noexcept
    : field(key, std::string_view{v}) {
    // nop
  }
  field(std::string_view key, const std::string& v) noexcept : field(key, std::string_view{v}) {
    // nop
  }
  template <std::integral T>
  constexpr field(std::string_view key, T v) noexcept : key_(key) {
    if constexpr (std::same_as<T, bool>)
      type_ = type::boolean;
    else
      type_ = std::signed_integral<T> ? type::sint : type::uint;
    number_ = static_cast<std::uint64_t>(v);
  }
  template <std::floating_point T>
  constexpr field(std::string_view key, T v) noexcept
    : key_(key), type_(type::real), real_(static_cast<double>(v)) {
    // nop
  }
  constexpr field(std::string_view key, std::chrono::milliseconds v) noexcept
    : field(key, static_cast<std::int64_t>(v.count())) {
    // nop
  }

  constexpr std::string_view key() const noexcept { return key_; }
  constexpr type kind() const noexcept { return type_; }
  constexpr std::string_view text() const noexcept { return text_; }
  constexpr std::int64_t sint() const noexcept { return static_cast<std::int64_t>(number_); }
  constexpr std::uint64_t uint() const noexcept { return number_; }
  constexpr double real() const noexcept { return real_; }

private:
  std::string_view key_;
  std::string_view text_;
  type type_ = type::text;
  std::uint64_t number_ = 0;
  double real_ = 0;
};

using fields = std::initializer_list<field>;

struct options {
  level least = level::info;                        ///< of components not in `levels`
  std::map<std::string, level, std::less<>> levels; ///< by component; unknown names are ignored
  log::format format = format::automatic;
  int fd = 2;                 ///< borrowed; must stay open
  const clock* time = nullptr; ///< null: the machine's; else it outlives the last line
  std::uint32_t rate = 10;    ///< lines a second from one place in the code; 0 = no limit
  std::uint32_t burst = 20;   ///< and so many at once
};

/// Takes over all options, at start and on reload. Before the first call: level info, automatic.
void configure(const options& o);

/// Changes one level on the fly (debugging). False if there is no such component.
bool set_level(std::string_view component_name, level least) noexcept;
level level_of(component c) noexcept;

struct counters {
  std::uint64_t lines = 0;      ///< written
  std::uint64_t suppressed = 0; ///< left out because their place logged too often
  std::uint64_t dropped = 0;    ///< lost because stderr would have blocked or failed
};
counters stats() noexcept;

/// Writes one line for each place that left out lines since its last line. To be called every
/// ten seconds or so and before the exit.
void report_suppressed();

namespace detail {

struct threshold {
  std::atomic<level> least{level::info};
};
inline constinit std::array<threshold, components.size()> levels{};

void write(component c, level l, std::string_view message, fields fs, std::source_location where);

} // namespace detail

/// True if a line of this level is shown; asks before something costly is prepared.
inline bool enabled(component c, level l) noexcept {
  return l >= detail::levels[c.index()].least.load(std::memory_order_relaxed);
}

inline void write(component c, level l, std::string_view message, fields fs = {},
                  std::source_location where = std::source_location::current()) {
  if (enabled(c, l)) [[unlikely]]
    detail::write(c, l, message, fs, where);
}

inline void trace(component c, std::string_view message, fields fs = {},
                  std::source_location where = std::source_location::current()) {
  write(c, level::trace, message, fs, where);
}

inline void debug(component c, std::string_view message, fields fs = {},
                  std::source_location where = std::source_location::current()) {
  write(c, level::debug, message, fs, where);
}

inline void info(component c, std::string_view message, fields fs = {},
                 std::source_location where = std::source_location::current()) {
  write(c, level::info, message, fs, where);
}

inline void warn(component c, std::string_view message, fields fs = {},
                 std::source_location where = std::source_location::current()) {
  write(c, level::warn, message, fs, where);
}

inline void error(component c, std::string_view message, fields fs = {},
                  std::source_location where = std::source_location::current()) {
  write(c, level::error, message, fs, where);
}

} // namespace ron::core::log
