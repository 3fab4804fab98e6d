#pragma once

#include "core/clock.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace ron::node {

/// When the readiness keys of OAP/1 turn false and when a human is called; keys `oap.*`. Source:
/// the performance requirements of OAP, sections 1.3 and 6.
struct oap_health_limits {
  double rejects_max = 0.005;          ///< bad frames by frames, over `rejects_window`
  std::uint64_t rejects_least = 20;    ///< fewer say nothing about their share
  std::uint64_t oversize_max = 10;     ///< so many frame_oversize in the window are a spike
  std::chrono::milliseconds rejects_window{60'000};
  double starved_share = 0.5;          ///< of the open streams
  std::uint64_t starved_least = 8;     ///< streams; a few stuck clients are their own problem
  std::chrono::milliseconds starvation_max{5'000}; ///< summed up over `starvation_window`
  std::chrono::milliseconds starvation_window{300'000};
  std::chrono::milliseconds hold{2'000}; ///< without starvation, before the key is true again
  std::uint64_t staging_max = 128u << 20; ///< bytes; true again below four fifths
  double page_decode_s = 0.020;
  double page_rejects = 0.01;
  std::chrono::milliseconds page_starvation{30'000}; ///< summed up over `starvation_window`
  std::chrono::milliseconds page_after{300'000};     ///< of a limit that holds all the time
};

/// What is known of all OAP connections at one moment. Counters since the start, gauges as of now.
struct oap_sample {
  std::uint64_t frames = 0;   ///< received
  std::uint64_t rejects = 0;  ///< of all buckets
  std::uint64_t oversize = 0; ///< of the bucket frame_oversize
  std::uint64_t streams = 0;  ///< open
  std::uint64_t starved = 0;  ///< of them
  std::uint64_t staging_bytes = 0;
  double decode_p95_s = 0;
};

/// Reasons to call a human; metric label.
enum class oap_page : std::uint8_t { decode, rejects, starvation };
inline constexpr std::size_t oap_page_count = 3;
std::string_view to_string(oap_page p) noexcept;

/// A sum over a sliding time, in sixty steps. Bounded; one owner.
class sliding_sum {
public:
  explicit sliding_sum(std::chrono::milliseconds window) noexcept
    : step_(std::max<core::instant::duration>(window / steps, std::chrono::milliseconds{1})) {
    // nop
  }
  /// Adds `n` to the step that `now` lies in; `now` never goes back.
  void add(std::uint64_t n, core::instant now) noexcept;
  /// Of the last sixty steps, the running one included, as of the last `add`.
  std::uint64_t sum() const noexcept { return sum_; }

private:
  static constexpr int steps = 60;
  core::instant::duration step_;
  std::array<std::uint64_t, steps> cells_{};
  std::int64_t at_ = 0; ///< number of the running step
  std::uint64_t sum_ = 0;
};

/// The health of OAP/1 in this process as a pure machine: samples in, readiness keys and pages out.
/// It degrades before anything collapses: long before the streams that starve are given up, and
/// before memory runs out. One owner; fed four times a second.
class oap_health {
public:
  explicit oap_health(const oap_health_limits& limits) noexcept;

  void sample(const oap_sample& s, core::instant now) noexcept;

  /// False while too many of the frames of the window were bad, or too many too large. An input
  /// that is cut off and completed in time is no reject and never in here.
  bool reject_rate_ok() const noexcept { return reject_rate_ok_; }
  /// False while streams starve, from the moment on when they did for `starvation_max` in the
  /// window. Starvation that comes back inside the window turns it false at once.
  bool ack_window_ok() const noexcept { return ack_window_ok_; }
  /// False while more is staged than agreed.
  bool backpressure_ok() const noexcept { return backpressure_ok_; }

  /// Bad frames by frames over the window; 0 without frames.
  double reject_ratio() const noexcept;
  /// Starvation summed up over the window.
  std::chrono::milliseconds starvation() const noexcept {
    return std::chrono::milliseconds{starved_.sum()};
  }
  bool pages(oap_page p) const noexcept { return paging_[static_cast<std::size_t>(p)]; }

private:
  void look_at_rejects(const oap_sample& s, core::instant now) noexcept;
  void look_at_windows(const oap_sample& s, core::instant now) noexcept;
  void look_at_pages(const oap_sample& s, core::instant now) noexcept;

  oap_health_limits limits_;
  oap_sample last_;
  std::optional<core::instant> last_at_;
  sliding_sum frames_;
  sliding_sum rejects_;
  sliding_sum oversize_;
  sliding_sum starved_; ///< milliseconds
  std::optional<core::instant> starved_at_; ///< when streams starved last
  std::array<std::optional<core::instant>, oap_page_count> beyond_since_;
  std::array<bool, oap_page_count> paging_{};
  bool reject_rate_ok_ = true;
  bool ack_window_ok_ = true;
  bool backpressure_ok_ = true;
};

} // namespace ron::node
