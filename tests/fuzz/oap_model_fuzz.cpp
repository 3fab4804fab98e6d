#include "oap/spec_check.hpp"

#include <cstddef>
#include <cstdint>

// The reader against the executable specification: same verdict, same fields.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ron::oap::test::compare_readers({data, size});
  return 0;
}
