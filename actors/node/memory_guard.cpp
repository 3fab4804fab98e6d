#include "node/memory_guard.hpp"

namespace ron::node {

std::string_view to_string(memory_level l) noexcept {
  switch (l) {
  case memory_level::calm:
    return "calm";
  case memory_level::caches_shrink:
    return "caches shrink";
  case memory_level::writes_shed:
    break;
  }
  return "writes are shed";
}

memory_level memory_guard::look(std::uint64_t used, std::uint64_t max) noexcept {
  const auto above = [&](std::uint64_t percent) { return used / percent >= max / 100; };
  if (above(90) || (level_ == memory_level::writes_shed && above(85)))
    level_ = memory_level::writes_shed;
  else if (above(80) || (level_ != memory_level::calm && above(70)))
    level_ = memory_level::caches_shrink;
  else
    level_ = memory_level::calm;
  return level_;
}

} // namespace ron::node
