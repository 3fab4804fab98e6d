#include "core/store/net_changes.hpp"

#include "core/store/key.hpp"

#include <algorithm>
#include <array>
#include <compare>
#include <cstring>

namespace ron::core::store {

namespace {

/// The start of a key as two numbers: decides nearly all comparisons without a look at the key.
using key_start = std::array<std::uint64_t, 2>;
constexpr std::size_t start_bytes = sizeof(key_start);

/// A step and when it came.
struct dated {
  log_step step;
  key_start start{};
  std::uint32_t order = 0;
};

key_start start_of(byte_view k) noexcept {
  std::array<std::uint8_t, start_bytes> first{};
  std::memcpy(first.data(), k.data(), std::min(k.size(), first.size()));
  return {load<std::uint64_t>(first), load<std::uint64_t>(first, sizeof(std::uint64_t))};
}

std::strong_ordering by_key(const dated& a, const dated& b) noexcept {
  if (auto c = a.step.to <=> b.step.to; c != 0)
    return c;
  if (auto c = a.start <=> b.start; c != 0)
    return c;
  if (a.step.key.size() <= start_bytes && b.step.key.size() <= start_bytes)
    return a.step.key.size() <=> b.step.key.size(); // what fills up a start is zeros
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
  std::ranges::stable_partition(steps_,
                                [](const log_step& s) { return s.op == log_op::raise; });
}

} // namespace ron::core::store
