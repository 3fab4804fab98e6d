#include "core/json.hpp"
#include "core/packed_object.hpp"

#include <cstdint>
#include <cstdlib>

/// Any bytes as a packed object: what it takes, the reader of trees takes to the same value, and
/// its canonical form is the tree's.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ron::core;
  const auto packed = packed_object::scan(bytes::copy(byte_view{data, size}));
  if (!packed)
    return 0;
  const auto tree = parse_cbor(byte_view{data, size});
  if (!tree || packed->to_tree() != *tree || packed->canonical() != dump_cbor(*tree).text())
    std::abort();
  return 0;
}
