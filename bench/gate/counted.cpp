#include "gate/counted.hpp"

#include "allocations.hpp"

#include <cstdio>

/// What is counted: callgrind collects inside this function alone.
extern "C" [[gnu::noinline]] void ron_counted(const ron::bench::counted_work& work,
                                              std::uint64_t& sum) {
  sum = work();
  asm volatile("" ::: "memory");
}

int ron::bench::count_main(int argc, char** argv, const std::vector<counted_case>& cases) {
  for (const auto& c : cases) {
    if (argc < 2) {
      std::printf("%.*s\n", static_cast<int>(c.name.size()), c.name.data());
      continue;
    }
    if (c.name != argv[1])
      continue;
    const auto work = c.prepare();
    std::uint64_t sum = 0;
    const auto before = allocations();
    ron_counted(work, sum);
    std::printf("{\"operations\": %llu, \"allocations\": %llu, \"sum\": %llu}\n",
                static_cast<unsigned long long>(c.operations),
                static_cast<unsigned long long>(allocations() - before),
                static_cast<unsigned long long>(sum));
    return 0;
  }
  return argc < 2 ? 0 : 2;
}
