#pragma once

#include <cstdint>
#include <string_view>

namespace ron::node {

/// What the node does about the memory it uses.
enum class memory_level : std::uint8_t {
  calm,
  caches_shrink, ///< from 80 % of the bound on, until below 70 %
  writes_shed,   ///< and that: from 90 % on, until below 85 %
};
std::string_view to_string(memory_level l) noexcept;

/// Steps between the levels: quick to step up, slow to come back. Pure.
class memory_guard {
public:
  memory_level look(std::uint64_t used, std::uint64_t max) noexcept;

private:
  memory_level level_ = memory_level::calm;
};

} // namespace ron::node
