#include "core/store/net_changes.hpp"

#include "core/store/key.hpp"

#include <algorithm>
#include <array>
#include <compare>
#include <cstring>

namespace ron::core::store {

namespace {

/// The table of a step, the start of its key and its number in the row, in 16 bytes: sorting moves
/// nothing else, and few comparisons have to look at a key.
struct place {
  static constexpr std::size_t start_bytes = 11;

  std::uint64_t high = 0; ///< table, bytes 0 to 6 of the key
  std::uint32_t low = 0;  ///< bytes 7 to 10, zeros behind the end
  std::uint32_t order = 0;
};

place place_of(const log_step& s, std::size_t order) noexcept {
  std::array<std::uint8_t, 1 + place::start_bytes> start{static_cast<std::uint8_t>(s.to)};
  std::ranges::copy(s.key.first(std::min(s.key.size(), place::start_bytes)), start.begin() + 1);
  return {load<std::uint64_t>(start), load<std::uint32_t>(start, sizeof(std::uint64_t)),
          static_cast<std::uint32_t>(order)};
}

/// How steps compare: by table and key.
class by_key {
public:
  explicit by_key(std::span<const log_step> steps) noexcept : steps_(steps) {}

  std::strong_ordering compare(const place& a, const place& b) const noexcept {
    if (auto c = a.high <=> b.high; c != 0)
      return c;
    if (auto c = a.low <=> b.low; c != 0)
      return c;
    const auto ka = steps_[a.order].key;
    const auto kb = steps_[b.order].key;
    if (ka.size() <= place::start_bytes && kb.size() <= place::start_bytes)
      return ka.size() <=> kb.size(); // what fills up a start is zeros
    return std::lexicographical_compare_three_way(ka.begin(), ka.end(), kb.begin(), kb.end());
  }
  /// Those of one key in the order in which they came.
  bool operator()(const place& a, const place& b) const noexcept {
    const auto c = compare(a, b);
    return c != 0 ? c < 0 : a.order < b.order;
  }

private:
  std::span<const log_step> steps_;
};

/// What the steps of one key come to, given in the order in which they came; none = nothing.
const log_step* merged(std::span<const log_step> steps, std::span<const place> of_key,
                       bool trust_fresh) noexcept {
  const auto& last = steps[of_key.back().order];
  if (last.op == log_op::raise) {
    const auto highest = std::ranges::max_element(of_key, {}, [steps](const place& p) {
      return load<std::uint64_t>(steps[p.order].value);
    });
    return &steps[highest->order];
  }
  if (last.op == log_op::remove && trust_fresh && steps[of_key.front().order].op == log_op::fresh)
    return nullptr;
  return &last;
}

/// Bytes of a step with a short value: for a first guess at their number.
constexpr std::size_t usual_step_bytes = 64;

} // namespace

net_changes::net_changes(std::span<const byte_view> payloads, bool trust_fresh) {
  std::size_t bytes = 0;
  for (const auto p : payloads)
    bytes += p.size();
  std::vector<log_step> steps;
  steps.reserve(bytes / usual_step_bytes); // memory that is not touched costs nothing
  for (auto rest : payloads) {
    while (auto s = next_step(rest))
      steps.push_back(*s);
    damaged_ += rest.empty() ? 0 : 1;
  }
  std::vector<place> places;
  places.reserve(steps.size());
  for (const auto& s : steps)
    places.push_back(place_of(s, places.size()));
  const by_key order{steps};
  std::ranges::sort(places, order);
  std::vector<log_step> raised;
  std::vector<log_step> removed;
  steps_.reserve(places.size());
  for (auto from = places.begin(); from != places.end();) {
    const auto to = std::find_if(from, places.end(), [&](const place& p) {
      return order.compare(*from, p) != 0;
    });
    if (const auto* s = merged(steps, {from, to}, trust_fresh))
      (s->op == log_op::raise ? raised : s->op == log_op::remove ? removed : steps_).push_back(*s);
    from = to;
  }
  steps_.insert(steps_.begin(), raised.begin(), raised.end());
  steps_.insert(steps_.end(), removed.rbegin(), removed.rend());
}

} // namespace ron::core::store
