#include "core/store/net_changes.hpp"

#include "core/store/key.hpp"

#include <algorithm>
#include <compare>
#include <cstring>

namespace ron::core::store {

namespace {

/// A step and when it came.
struct dated {
  log_step step;
  std::uint64_t start = 0; ///< of its key: decides most comparisons without a look at it
  std::uint32_t order = 0;
};

std::uint64_t start_of(byte_view k) noexcept {
  std::array<std::uint8_t, 8> first{};
  std::memcpy(first.data(), k.data(), std::min(k.size(), first.size()));
  return load<std::uint64_t>(first);
}

std::strong_ordering by_key(const dated& a, const dated& b) noexcept {
  if (auto c = a.step.to <=> b.step.to; c != 0)
    return c;
  if (auto c = a.start <=> b.start; c != 0)
    return c;
  return std::lexicographical_compare_three_way(a.step.key.begin(), a.step.key.end(),
                                                b.step.key.begin(), b.step.key.end());
}

bool earlier(const dated& a, const dated& b) noexcept {
  const auto c = by_key(a, b);
  return c != 0 ? c < 0 : a.order < b.order;
}

/// What the steps of one key come to, in the order in which they came.
void merge(std::span<const dated> of_key, bool trust_fresh, std::vector<log_step>& out) {
  const auto& last = of_key.back().step;
  if (last.op == log_op::raise) {
    const auto highest = std::ranges::max_element(
      of_key, {}, [](const dated& d) { return load<std::uint64_t>(d.step.value); });
    return out.push_back(highest->step);
  }
  if (last.op == log_op::remove && trust_fresh && of_key.front().step.op == log_op::fresh)
    return;
  out.push_back(last);
}

} // namespace

net_changes::net_changes(std::span<const byte_view> payloads, bool trust_fresh) {
  std::vector<dated> all;
  for (auto rest : payloads) {
    while (auto s = next_step(rest))
      all.push_back({*s, start_of(s->key), static_cast<std::uint32_t>(all.size())});
    damaged_ += rest.empty() ? 0 : 1;
  }
  std::ranges::sort(all, earlier);
  for (auto from = all.begin(); from != all.end();) {
    const auto to = std::find_if(from, all.end(),
                                 [&](const dated& d) { return by_key(*from, d) != 0; });
    merge({from, to}, trust_fresh, steps_);
    from = to;
  }
  const auto removed = std::ranges::stable_partition(
    steps_, [](const log_step& s) { return s.op != log_op::remove; });
  std::ranges::reverse(removed);
}

} // namespace ron::core::store
