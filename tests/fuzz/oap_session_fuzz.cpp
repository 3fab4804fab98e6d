#include "oap/hostile.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  ron::oap::test::drive_session(data, size);
  return 0;
}
