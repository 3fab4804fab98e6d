#include "core/json.hpp"

#include <cstdint>
#include <cstdlib>

/// Any bytes as CBOR: no crash, no deep stack, no memory by a declared length; what was accepted
/// has one shortest form that reads back the same and is JSON too.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ron::core;
  auto v = parse_cbor(byte_view{data, size});
  if (!v) {
    if (v.error().message.empty())
      std::abort();
    return 0;
  }
  auto shortest = dump_cbor(*v);
  if (shortest.size() > size)
    std::abort();
  auto back = parse_cbor(shortest.view());
  if (!back || *back != *v || !(dump_cbor(*back) == shortest))
    std::abort();
  if (!parse_json(dump_json(*v), {.bytes_max = 16u << 20}))
    std::abort();
  return 0;
}
