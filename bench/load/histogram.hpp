#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ron::bench {

/// The buckets of a histogram: values below 128 have one each, then every power of two has 64.
struct bucket_scale {
  static constexpr int precision_bits = 6;
  static constexpr std::size_t per_power = 1u << precision_bits;
  static constexpr std::size_t count = (64 - precision_bits + 1) * per_power;

  static constexpr std::size_t index_of(std::uint64_t v) noexcept {
    const int shift = std::max(0, std::bit_width(v) - precision_bits - 1);
    return static_cast<std::size_t>(shift) * per_power + static_cast<std::size_t>(v >> shift);
  }
  /// The largest value of a bucket.
  static constexpr std::uint64_t upper_end(std::size_t index) noexcept {
    const auto shift = index < 2 * per_power ? 0 : index / per_power - 1;
    const auto first = static_cast<std::uint64_t>(index - shift * per_power) << shift;
    return first + ((std::uint64_t{1} << shift) - 1);
  }
};
static_assert(bucket_scale::index_of(0) == 0);
static_assert(bucket_scale::index_of(~std::uint64_t{0}) == bucket_scale::count - 1);
static_assert(bucket_scale::upper_end(bucket_scale::index_of(127)) == 127);
static_assert(bucket_scale::upper_end(bucket_scale::index_of(128)) == 129);
static_assert(bucket_scale::upper_end(bucket_scale::count - 1) == ~std::uint64_t{0});

/// Counts of durations in buckets that are at most 1/64 of their value wide, as HdrHistogram has
/// them: 30 KiB for all of 0 to 2^64 ns, nothing is sampled, no value is out of range. One thread.
class histogram {
public:
  void record(std::uint64_t ns) noexcept {
    ++counts_[bucket_scale::index_of(ns)];
    ++count_;
    sum_ += static_cast<double>(ns);
    max_ = std::max(max_, ns);
  }

  /// The value at or below which `percent` of 0..100 of the recorded ones lie, rounded up to the
  /// end of its bucket but not above the largest; 0 if nothing was recorded.
  std::uint64_t percentile(double percent) const noexcept {
    auto rank = static_cast<std::uint64_t>(std::ceil(static_cast<double>(count_) * percent / 100));
    rank = std::max<std::uint64_t>(rank, 1);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if ((seen += counts_[i]) >= rank)
        return std::min(bucket_scale::upper_end(i), max_);
    return max_;
  }

  std::uint64_t count() const noexcept { return count_; }
  std::uint64_t max() const noexcept { return max_; }
  double mean() const noexcept { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

private:
  std::array<std::uint64_t, bucket_scale::count> counts_{};
  std::uint64_t count_ = 0;
  std::uint64_t max_ = 0;
  double sum_ = 0;
};

} // namespace ron::bench
