#include "node/oap_health.hpp"

#include <utility>

namespace ron::node {

namespace {

/// A process that was stopped for a while does not know what happened meanwhile.
constexpr std::chrono::milliseconds gap_max{1'000};

} // namespace

std::string_view to_string(oap_page p) noexcept {
  switch (p) {
    case oap_page::decode:
      return "decode";
    case oap_page::rejects:
      return "rejects";
    case oap_page::starvation:
      return "starvation";
  }
  return "?";
}

void sliding_sum::add(std::uint64_t n, core::instant now) noexcept {
  const auto step = now.time_since_epoch() / step_;
  for (auto left = std::min<std::int64_t>(step - at_, steps); left > 0; --left) {
    auto& oldest = cells_[static_cast<std::size_t>((step - left + 1) % steps)];
    sum_ -= std::exchange(oldest, 0);
  }
  at_ = std::max(at_, step);
  cells_[static_cast<std::size_t>(at_ % steps)] += n;
  sum_ += n;
}

oap_health::oap_health(const oap_health_limits& limits) noexcept
  : limits_(limits),
    frames_(limits.rejects_window),
    rejects_(limits.rejects_window),
    oversize_(limits.rejects_window),
    starved_(limits.starvation_window) {
  // nop
}

void oap_health::sample(const oap_sample& s, core::instant now) noexcept {
  look_at_rejects(s, now);
  look_at_windows(s, now);
  const auto calm = limits_.staging_max / 5 * 4;
  backpressure_ok_ = s.staging_bytes <= (backpressure_ok_ ? limits_.staging_max : calm);
  look_at_pages(s, now);
  last_ = s;
  last_at_ = now;
}

double oap_health::reject_ratio() const noexcept {
  const auto all = std::max(frames_.sum(), rejects_.sum());
  return all == 0 ? 0.0 : static_cast<double>(rejects_.sum()) / static_cast<double>(all);
}

void oap_health::look_at_rejects(const oap_sample& s, core::instant now) noexcept {
  frames_.add(s.frames - last_.frames, now);
  rejects_.add(s.rejects - last_.rejects, now);
  oversize_.add(s.oversize - last_.oversize, now);
  const bool many = rejects_.sum() >= limits_.rejects_least;
  reject_rate_ok_ = !(many && reject_ratio() >= limits_.rejects_max)
                    && oversize_.sum() < limits_.oversize_max;
}

void oap_health::look_at_windows(const oap_sample& s, core::instant now) noexcept {
  const auto share = limits_.starved_share * static_cast<double>(s.streams);
  const bool starving
    = s.starved >= limits_.starved_least && static_cast<double>(s.starved) >= share;
  std::uint64_t since_last = 0;
  if (starving) {
    using std::chrono::duration_cast;
    using std::chrono::milliseconds;
    if (last_at_)
      since_last = static_cast<std::uint64_t>(
        std::min(duration_cast<milliseconds>(now - *last_at_), gap_max).count());
    starved_at_ = now;
  }
  starved_.add(since_last, now);
  const bool lately = starved_at_ && now - *starved_at_ < limits_.hold;
  ack_window_ok_ = !(lately && starvation() >= limits_.starvation_max);
}

void oap_health::look_at_pages(const oap_sample& s, core::instant now) noexcept {
  const auto holds = [&](oap_page p, bool beyond) {
    const auto i = static_cast<std::size_t>(p);
    if (!beyond)
      beyond_since_[i].reset();
    else if (!beyond_since_[i])
      beyond_since_[i] = now;
    paging_[i] = beyond && now - *beyond_since_[i] >= limits_.page_after;
  };
  holds(oap_page::decode, s.decode_p95_s > limits_.page_decode_s);
  holds(oap_page::rejects,
        rejects_.sum() >= limits_.rejects_least && reject_ratio() >= limits_.page_rejects);
  // Already a figure over a window.
  paging_[static_cast<std::size_t>(oap_page::starvation)]
    = starvation() >= limits_.page_starvation;
}

} // namespace ron::node
