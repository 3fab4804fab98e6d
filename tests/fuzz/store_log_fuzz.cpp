#include "core/store/log_scan.hpp"
#include "core/store/net_changes.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <utility>
#include <vector>

/// Any bytes as the image of a log's segment and as a row of steps: what is found lies within them,
/// in order, and comes to one change per key at most.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ron::core;
  using namespace ron::core::store;
  const byte_view all{data, size};
  const auto head = decode_head(all);
  const auto found = scan_segment(all, 0, head ? head->of.id : 1);
  std::uint64_t last = 0;
  for (const auto& r : found.records) {
    if (r.lsn < last || r.at + log_record_head_bytes + r.payload.size() > size)
      std::abort();
    last = r.lsn + 1;
  }
  const std::array<byte_view, 1> rows{all};
  std::size_t steps = 0;
  for (auto rest = all; next_step(rest);)
    ++steps;
  for (const bool trust : {false, true}) {
    const net_changes net{rows, trust};
    std::set<std::pair<table, std::vector<std::uint8_t>>> keys;
    for (const auto& s : net.all())
      if (!keys.emplace(s.to, std::vector(s.key.begin(), s.key.end())).second)
        std::abort();
    if (net.all().size() > steps)
      std::abort();
  }
  return 0;
}
