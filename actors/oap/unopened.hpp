#pragma once

#include "oap/frame.hpp"

#include <cstddef>
#include <cstdint>
#include <set>
#include <vector>

namespace ron::oap {

/// An ACK for a stream whose START has not come yet.
struct early_ack {
  corr_t corr = 0;
  std::uint64_t up_to = 0;
  std::uint32_t window = 0;
};

/// What arrives out of order where every stream is an ordered byte stream of its own (QUIC): corrs
/// below the highest one whose START is still on its way, and ACKs that overtook theirs. Bounded:
/// the oldest gap is forgotten (its START is then one too many), an ACK too many is refused.
class unopened_corrs {
public:
  static constexpr std::size_t acks_max = 64; ///< OAP1.md, section 5

  /// START of `corr`, above `last`, came: those between are missing. False if these are more than
  /// `max`.
  bool skip_to(corr_t last, corr_t corr, std::size_t max) {
    if (corr - last - 1 > max)
      return false;
    for (auto c = last + 1; c < corr; ++c)
      gaps_.insert(gaps_.end(), c);
    while (gaps_.size() > max)
      gaps_.erase(gaps_.begin());
    return true;
  }
  /// True if the START of `corr` was waited for; it is no longer.
  bool take(corr_t corr) { return gaps_.erase(corr) != 0; }
  bool contains(corr_t corr) const { return !gaps_.empty() && gaps_.contains(corr); }
  /// Keeps an ACK. False if there are as many as may be.
  bool keep(const early_ack& a) {
    if (acks_.size() >= acks_max)
      return false;
    acks_.push_back(a);
    return true;
  }
  /// Takes out the oldest ACK kept for `corr`. False if there is none.
  bool take_ack(corr_t corr, early_ack& out) {
    for (auto i = acks_.begin(); i != acks_.end(); ++i)
      if (i->corr == corr) {
        out = *i;
        acks_.erase(i);
        return true;
      }
    return false;
  }
  std::size_t gaps() const noexcept { return gaps_.size(); }
  std::size_t memory_bytes() const noexcept {
    constexpr std::size_t node = 48;
    return gaps_.size() * node + acks_.capacity() * sizeof(early_ack);
  }

private:
  std::set<corr_t> gaps_;
  std::vector<early_ack> acks_;
};

} // namespace ron::oap
