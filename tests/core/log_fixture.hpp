#pragma once

#include "core/store/append_log.hpp"
#include "core/store/net_changes.hpp"
#include "store_fixture.hpp"

#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace ron::test {

inline constexpr table counters{2};

/// A random number that SEED can replay; printed.
inline std::uint64_t seed_of_this_run() {
  const char* given = std::getenv("SEED");
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "SEED=" << seed << std::endl;
  return seed;
}

using model = std::map<std::pair<int, std::string>, std::string>;

/// What a store has after steps, the slow and simple way.
inline void apply_to(model& m, byte_view payload) {
  while (auto s = next_step(payload)) {
    const std::pair at{static_cast<int>(s->to), string(s->key)};
    if (s->op == log_op::remove)
      m.erase(at);
    else if (s->op != log_op::raise || !m.contains(at) || m[at] < string(s->value))
      m[at] = string(s->value); // big-endian numbers of one width compare like texts
  }
}

/// Steps as a mailbox makes them: keys that are new, change and go, and a counter.
class random_steps {
public:
  explicit random_steps(std::uint64_t seed) : dice_(seed) {}

  log_steps next(std::size_t value_max = 60) {
    log_steps out;
    for (auto n = 1 + dice_() % 6; n > 0; --n)
      step(out, value_max);
    return out;
  }
  std::mt19937_64& dice() noexcept { return dice_; }

private:
  void step(log_steps& out, std::size_t value_max) {
    const auto value = std::string(dice_() % value_max, static_cast<char>('a' + dice_() % 26));
    if (live_.empty() || dice_() % 3 == 0) {
      live_.push_back(++last_);
      out.add(log_op::fresh, data, key::of(last_), text(value));
      out.add(log_op::raise, counters, text("last"), key::of(last_));
      return;
    }
    const auto at = dice_() % live_.size();
    const auto k = key::of(live_[at]);
    if (dice_() % 2 == 0)
      return out.add(log_op::put, other, k, text(value));
    live_.erase(live_.begin() + static_cast<std::ptrdiff_t>(at));
    out.add(log_op::remove, data, k);
    out.add(log_op::remove, other, k);
  }

  std::mt19937_64 dice_;
  std::vector<std::uint64_t> live_;
  std::uint64_t last_ = 0;
};

/// Segments in memory, written as `append_log` writes them.
struct log_in_memory {
  static constexpr std::uint64_t id = 4'711;
  std::vector<log_image> segments;
  std::vector<std::vector<std::uint8_t>> payloads; ///< of lsn 1, 2, ...

  void begin_segment() {
    const auto page = encode_head({{id, segments.size() + 1}, payloads.size() + 1});
    segments.emplace_back(page.begin(), page.end());
  }
  void append(byte_view payload) {
    auto& to = segments.back();
    const auto end = to.size();
    const auto head = encode_record_head({id, segments.size()}, payloads.size() + 1,
                                         std::span{&payload, 1});
    to.insert(to.end(), head.begin(), head.end());
    to.insert(to.end(), payload.begin(), payload.end());
    to.resize(end + log_record_bytes(payload.size()));
    payloads.emplace_back(payload.begin(), payload.end());
  }
  log_replay replay(std::uint64_t applied = 0) const {
    std::vector<scanned_segment> found;
    for (std::size_t i = 0; i < segments.size(); ++i)
      found.push_back(scan_segment(segments[i], i, id));
    return replay_of(std::move(found), applied);
  }
};

} // namespace ron::test
