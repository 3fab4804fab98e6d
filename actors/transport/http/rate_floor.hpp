#pragma once

#include "core/clock.hpp"

#include <chrono>
#include <cstdint>
#include <optional>

namespace ron::http {

/// Notices a peer that moves fewer bytes than it must. Time is cut into windows; each must see
/// its share of bytes. Only time in which the peer could move bytes counts: the owner pauses the
/// meter while it is not the peer's turn. One thread.
class rate_floor {
public:
  /// `per_second` 0 = off.
  rate_floor(std::uint64_t per_second, std::chrono::milliseconds window) noexcept
    : quota_(per_second * static_cast<std::uint64_t>(window.count()) / 1'000), window_(window) {
    // nop
  }

  /// From here on time counts.
  void resume(core::instant now) noexcept {
    if (!since_)
      since_ = now;
  }
  /// Time stands still.
  void pause(core::instant now) noexcept {
    if (since_)
      spent_ += now - *since_;
    since_.reset();
  }
  void add(std::uint64_t bytes) noexcept { moved_ += bytes; }
  /// Forgets everything, paused.
  void reset() noexcept {
    since_.reset();
    spent_ = {};
    moved_ = 0;
  }
  /// When to look again; nothing while paused or off.
  std::optional<core::instant> due() const noexcept {
    if (!since_ || quota_ == 0)
      return std::nullopt;
    return *since_ + (window_ - spent_);
  }
  /// True when a window is over that saw too little; otherwise the next window begins.
  bool missed(core::instant now) noexcept {
    auto end = due();
    if (!end || now < *end)
      return false;
    if (moved_ < quota_)
      return true;
    moved_ = 0;
    spent_ = {};
    since_ = now;
    return false;
  }

private:
  std::uint64_t quota_;
  core::instant::duration window_;
  std::optional<core::instant> since_;
  core::instant::duration spent_{};
  std::uint64_t moved_ = 0;
};

} // namespace ron::http
