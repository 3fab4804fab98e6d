#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace ron::load {

/// Times in nanoseconds, counted in buckets whose width grows with them (as HdrHistogram does):
/// every quantile is exact to 1/64, from 1 ns to 18 minutes, in 18 KiB whatever is recorded.
class latency {
public:
  void add(std::uint64_t ns) noexcept {
    ++counts_[index_of(ns)];
    ++total_;
    most_ = ns > most_ ? ns : most_;
  }

  /// Those of `other` too.
  void add(const latency& other) noexcept {
    for (std::size_t i = 0; i < counts_.size(); ++i)
      counts_[i] += other.counts_[i];
    total_ += other.total_;
    most_ = std::max(most_, other.most_);
  }

  std::uint64_t count() const noexcept { return total_; }
  std::uint64_t max() const noexcept { return most_; }

  /// The smallest time that at least the share `q` of all is not above, rounded up to its bucket;
  /// 0 if there are none.
  std::uint64_t quantile(double q) const noexcept {
    if (total_ == 0)
      return 0;
    const auto rank = static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(total_)));
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i)
      if ((seen += counts_[i]) >= rank && seen > 0)
        return i + 1 < counts_.size() && top_of(i) < most_ ? top_of(i) : most_;
    return most_;
  }

private:
  static constexpr unsigned fine_bits = 6; // 64 buckets for each power of two
  static constexpr unsigned powers = 35;

  static std::size_t index_of(std::uint64_t v) noexcept {
    const auto width = static_cast<unsigned>(std::bit_width(v));
    const auto shift = width > fine_bits + 1 ? width - fine_bits - 1 : 0;
    const auto i = (static_cast<std::size_t>(shift) << fine_bits) + (v >> shift);
    return i < (powers << fine_bits) ? i : (powers << fine_bits) - 1;
  }
  static std::uint64_t top_of(std::size_t i) noexcept {
    const auto shift = i < (2u << fine_bits) ? 0 : (i >> fine_bits) - 1;
    const auto fine = i - (shift << fine_bits);
    return ((static_cast<std::uint64_t>(fine) + 1) << shift) - 1;
  }

  std::array<std::uint64_t, powers << fine_bits> counts_{};
  std::uint64_t total_ = 0;
  std::uint64_t most_ = 0;
};

} // namespace ron::load
