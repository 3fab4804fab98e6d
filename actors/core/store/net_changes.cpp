#include "core/store/net_changes.hpp"

#include "core/store/key.hpp"

#include <algorithm>
#include <array>
#include <compare>
#include <iterator>

namespace ron::core::store {

namespace {

/// The start of a step's key and the step's number in the row, in 16 bytes: sorting moves nothing
/// else, and few comparisons have to look at a key.
struct place {
  static constexpr std::size_t start_bytes = 12;

  std::uint64_t high = 0; ///< bytes 0 to 7 of the key
  std::uint32_t low = 0;  ///< bytes 8 to 11, zeros behind the end
  std::uint32_t order = 0;
};
using places = std::vector<place>;

place place_of(const log_step& s, std::size_t order) noexcept {
  std::array<std::uint8_t, place::start_bytes> start{};
  std::ranges::copy(s.key.first(std::min(s.key.size(), place::start_bytes)), start.begin());
  return {load<std::uint64_t>(start), load<std::uint32_t>(start, sizeof(std::uint64_t)),
          static_cast<std::uint32_t>(order)};
}

/// How steps of one table compare: by key.
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
  bool operator()(const place& a, const place& b) const noexcept { return compare(a, b) < 0; }

private:
  std::span<const log_step> steps_;
};

/// Sorts by merging the rows that are in order already: what one sender wrote is one of them, what
/// several wrote in turns are few long ones. Those of one key stay in the order in which they came.
void sort_rows(places& all, const by_key& before) {
  std::vector<std::size_t> ends; // of the rows
  for (auto at = all.begin(); at != all.end();) {
    at = std::is_sorted_until(at, all.end(), before);
    ends.push_back(static_cast<std::size_t>(at - all.begin()));
  }
  places longer(ends.size() > 1 ? all.size() : 0);
  const auto row = [&all](std::size_t n) { return all.begin() + static_cast<std::ptrdiff_t>(n); };
  while (ends.size() > 1) {
    std::size_t from = 0;
    std::size_t rows = 0;
    for (std::size_t i = 0; i < ends.size(); i += 2) {
      const auto middle = ends[i];
      const auto to = ends[std::min(i + 1, ends.size() - 1)];
      std::merge(row(from), row(middle), row(middle), row(to),
                 longer.begin() + static_cast<std::ptrdiff_t>(from), before);
      ends[rows++] = from = to;
    }
    ends.resize(rows);
    all.swap(longer);
  }
}

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
  std::vector<places> tables;
  for (auto rest : payloads) {
    while (auto s = next_step(rest)) {
      const auto in = static_cast<std::size_t>(s->to);
      if (in >= tables.size())
        tables.resize(in + 1);
      tables[in].push_back(place_of(*s, steps.size()));
      steps.push_back(*s);
    }
    damaged_ += rest.empty() ? 0 : 1;
  }
  const by_key order{steps};
  std::vector<log_step> raised;
  std::vector<log_step> removed;
  steps_.reserve(steps.size());
  for (auto& all : tables) {
    sort_rows(all, order);
    for (auto from = all.begin(); from != all.end();) {
      const auto to = std::find_if(std::next(from), all.end(), [&](const place& p) {
        return order.compare(*from, p) != 0;
      });
      if (const auto* s = merged(steps, {from, to}, trust_fresh)) {
        auto& kind = s->op == log_op::raise ? raised : s->op == log_op::remove ? removed : steps_;
        kind.push_back(*s);
      }
      from = to;
    }
  }
  steps_.insert(steps_.begin(), raised.begin(), raised.end());
  steps_.insert(steps_.end(), removed.rbegin(), removed.rend());
}

} // namespace ron::core::store
