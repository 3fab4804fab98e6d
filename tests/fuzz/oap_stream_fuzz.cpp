#include "oap/spec_history.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

// A whole history of a session, every choice of it from the input, against the executable
// specification: streams, credit, objects, errors, drain, commands.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::size_t at = 0;
  ron::oap::test::chooser choose = [&](std::uint64_t n) -> std::uint64_t {
    std::uint64_t v = at < size ? data[at++] : 0;
    if (n > 256)
      v = v * 256 + (at < size ? data[at++] : 0);
    return n == 0 ? 0 : v % n;
  };
  auto r = ron::oap::test::run_history(choose, 10 + size / 8);
  if (!r.failure.empty()) {
    std::fprintf(stderr, "%s\n%s\n", r.story.c_str(), r.failure.c_str());
    std::abort();
  }
  return 0;
}
