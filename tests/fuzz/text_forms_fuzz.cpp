#include "core/base64.hpp"
#include "core/ids.hpp"
#include "core/utf8.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <string>

namespace {

void expect(bool ok) {
  if (!ok)
    std::abort();
}

} // namespace

/// Any bytes as each of the small text forms: no crash, and what was accepted is written back as
/// it was.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ron::core;
  std::string_view text{reinterpret_cast<const char*>(data), size};
  if (auto x = cid::parse(text))
    expect(x->to_text() == text);
  if (auto x = tenant::parse(text))
    expect(x->to_text() == text);
  if (auto x = corr_id::parse(text))
    expect(x->text() == text);
  if (auto x = ulid::parse(text)) {
    std::string upper{text};
    std::ranges::transform(upper, upper.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    expect(x->to_text() == upper);
  }
  if (auto x = trace_context::parse(text))
    expect(trace_context::parse(x->to_text()) == x);
  if (auto x = base64_decode(text))
    expect(base64_encode(x->view()) == text);
  if (auto x = base64url_decode(text))
    expect(base64url_encode(x->view()) == text);
  auto repaired = repair_utf8(text);
  expect(valid_utf8(repaired) && (repaired == text) == valid_utf8(text));
  expect(!valid_utf8(text) || valid_utf8(clip_utf8(text, size / 2)));
  return 0;
}
