#include "core/json.hpp"
#include "core/object_reader.hpp"
#include "core/utf8.hpp"

#include <cstdint>
#include <cstdlib>

/// Any bytes as a JSON request: no crash; what was accepted survives both formats and can be read
/// field by field; what was refused is said in plain words.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ron::core;
  auto v = parse_json(byte_view{data, size});
  if (!v) {
    if (v.error().message.empty() || info(v.error().code).http_status / 100 != 4)
      std::abort();
    return 0;
  }
  auto text = dump_json(*v);
  auto back = parse_json(text);
  if (!back || *back != *v || dump_json(*back) != text)
    std::abort();
  auto cbor = parse_cbor(dump_cbor(*v).view(), {.bytes_max = 16u << 20});
  if (!cbor || *cbor != *v)
    std::abort();
  object_reader in{*v};
  in.optional_text("a", {.max_bytes = 8});
  in.optional_uint("b", 1, 100);
  in.optional_sint("c", -5, 5);
  in.optional_binary("d", 16);
  in.optional_cid("e");
  in.optional_texts("f", 2, {});
  in.optional_boolean("g");
  auto ok = in.finish();
  if (!ok && (ok.error().message.size() > limits::error_message_bytes_max
              || !valid_utf8(ok.error().message)))
    std::abort();
  return 0;
}
