#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

/// Programs whose work is counted: instructions from outside (scripts/perf_count runs each case
/// under callgrind), allocations of the whole process from inside.
///
///   NAME_count          names the cases
///   NAME_count CASE     does it and prints {"operations": ..., "allocations": ...}
namespace ron::bench {

/// The counted part of a case; gives a sum of what it saw, so that nothing is left out.
using counted_work = std::function<std::uint64_t()>;

struct counted_case {
  std::string_view name;
  std::uint64_t operations;              ///< that the work does
  std::function<counted_work()> prepare; ///< is not counted
};

/// The `main` of such a program. 2 when no case has the name.
int count_main(int argc, char** argv, const std::vector<counted_case>& cases);

} // namespace ron::bench
