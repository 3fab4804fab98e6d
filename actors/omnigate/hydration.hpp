#pragma once

#include "core/error.hpp"
#include "core/json.hpp"

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace ron::omnigate {

/// A downstream that a view is put together from.
enum class leg : std::uint8_t { index, storage, mailbox };
inline constexpr std::size_t leg_count = 3;
std::string_view to_string(leg l) noexcept;

/// How a leg ended, as `parts` shows it.
enum class part : std::uint8_t { pending, ok, missing, timeout, busy, error };
std::string_view to_string(part p) noexcept;

/// The hydration of one object view as a pure machine: index first (nothing can be shown without
/// it), then storage and mailbox side by side. A lost index leg fails the view; a lost storage or
/// mailbox leg makes it partial and adds a warning.
class hydration {
public:
  explicit hydration(std::string view) : view_(std::move(view)) {}

  /// Legs to start now; each is named once.
  std::vector<leg> next();

  /// The leg answered; `data` is merged into the view's data.
  void on_ok(leg l, core::json data);
  /// The leg failed. Index: the view fails with this error.
  void on_error(leg l, const core::error& e);

  /// True when nothing is outstanding and nothing is left to start.
  bool done() const noexcept;
  /// The envelope of a finished view, or the error of the index leg.
  core::result<core::json> body() const;
  /// True when every leg is ok, so that the answer may be cached and tagged.
  bool complete() const noexcept;

private:
  enum class phase : std::uint8_t { idle, asked, ended };
  struct state {
    phase at = phase::idle;
    part is = part::pending;
  };
  state& at(leg l) noexcept { return legs_[static_cast<std::size_t>(l)]; }
  const state& at(leg l) const noexcept { return legs_[static_cast<std::size_t>(l)]; }

  std::string view_;
  std::array<state, leg_count> legs_{};
  core::json data_ = core::json::object();
  core::json warnings_ = core::json::array();
  core::error index_error_;
};

} // namespace ron::omnigate
