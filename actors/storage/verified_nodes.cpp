#include "storage/verified_nodes.hpp"

#include <algorithm>

namespace ron::storage {

void verified_nodes::put(std::uint64_t object, std::uint64_t index,
                         std::span<const std::uint8_t, core::b3::node_bytes> data) {
  const auto hash = hash_of(object, index);
  auto& s = stripes_[hash % stripes];
  std::lock_guard guard{s.mutex};
  if (s.count == 0)
    return;
  auto& e = s.entries[hash / stripes % s.count];
  e.object = object + 1;
  e.index = index;
  std::ranges::copy(data, e.data.begin());
}

void verified_nodes::set_max(std::uint64_t bytes_max) {
  const auto count = static_cast<std::size_t>(bytes_max / stripes / sizeof(entry));
  for (auto& s : stripes_) {
    std::lock_guard guard{s.mutex};
    // calloc: pages that nobody uses stay the kernel's
    s.entries.reset(count == 0 ? nullptr
                               : static_cast<entry*>(std::calloc(count, sizeof(entry))));
    s.count = s.entries ? count : 0;
  }
}

} // namespace ron::storage
