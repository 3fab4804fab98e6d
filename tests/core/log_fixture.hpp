#pragma once

#include "core/hash.hpp"
#include "core/store/append_log.hpp"
#include "core/store/net_changes.hpp"
#include "store_fixture.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <map>
#include <optional>
#include <random>
#include <span>
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

/// Puts the check of version 1 where it belongs: behind the 32 bytes of fields.
template <class Head>
void seal_with_hash(Head& head, byte_view payload) {
  b3::hasher h;
  h.update(byte_view{head}.first(32));
  h.update(payload);
  const auto sum = h.finish();
  std::ranges::copy(std::span{sum}.first(8), head.begin() + 32);
}

/// The head of a segment as programs wrote it that knew version 1 only.
inline log_page encode_head_v1(const log_segment_head& h) {
  auto page = encode_head(h);
  std::ranges::copy(key::of(std::uint32_t{1}).view(), page.begin() + 4);
  seal_with_hash(page, {});
  return page;
}

/// The head of a record of theirs.
inline log_record_head encode_record_head_v1(const log_identity& of, std::uint64_t lsn,
                                             byte_view payload) {
  auto head = encode_record_head(of, lsn, std::span{&payload, 1});
  std::ranges::copy(text("RLGR"), head.begin());
  seal_with_hash(head, payload);
  return head;
}

/// Segments in memory, written as `append_log` writes them, or did.
struct log_in_memory {
  static constexpr std::uint64_t id = 4'711;
  std::vector<log_image> segments;
  std::vector<std::vector<std::uint8_t>> payloads; ///< of lsn 1, 2, ...
  std::uint32_t version = 2; ///< of what is written from now on

  void begin_segment() {
    const log_segment_head head{{id, segments.size() + 1}, payloads.size() + 1};
    const auto page = version == 1 ? encode_head_v1(head) : encode_head(head);
    segments.emplace_back(page.begin(), page.end());
  }
  void append(byte_view payload) {
    auto& to = segments.back();
    const auto end = to.size();
    const log_identity of{id, segments.size()};
    const auto lsn = payloads.size() + 1;
    const auto head = version == 1 ? encode_record_head_v1(of, lsn, payload)
                                   : encode_record_head(of, lsn, std::span{&payload, 1});
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
