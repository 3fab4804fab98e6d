#pragma once

#include "core/clock.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace ron::node {

/// When the authority is asked for the next OCSP response: in the middle of the life of the last
/// one, so that a day without the authority goes unnoticed, and after a failure soon, then less and
/// less often. Pure. One owner.
class staple_schedule {
public:
  static constexpr std::chrono::seconds least{60};
  static constexpr std::chrono::seconds most{12 * 3'600};
  static constexpr std::chrono::seconds retry_most{3'600};

  /// Asks at once: the certificate is another one.
  void restart() noexcept {
    due_ = {};
    retry_ = least;
    asking_ = false;
  }
  /// True if somebody is to ask now; then the outcome is awaited.
  bool ask(core::instant now) noexcept {
    if (asking_ || now < due_)
      return false;
    asking_ = true;
    return true;
  }
  /// The answer is good until `until_s`, Unix time (0: it does not say); it is `wall_s` now.
  void fetched(core::instant now, std::int64_t wall_s, std::int64_t until_s) noexcept {
    const auto life =
      until_s == 0 ? most : std::chrono::seconds{std::max<std::int64_t>(0, until_s - wall_s)};
    wait(now, std::clamp(life / 2, least, most));
    retry_ = least;
  }
  void failed(core::instant now) noexcept {
    wait(now, retry_);
    retry_ = std::min(2 * retry_, retry_most);
  }
  core::instant due() const noexcept { return due_; }

private:
  void wait(core::instant now, std::chrono::seconds s) noexcept {
    due_ = now + s;
    asking_ = false;
  }

  core::instant due_{};
  std::chrono::seconds retry_ = least;
  bool asking_ = false;
};

} // namespace ron::node
