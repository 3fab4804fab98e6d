#include "transport/inflate.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

/// The first byte picks the coding and how the rest is cut; no crash, no limit passed.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ron;
  if (size == 0)
    return 0;
  const auto c = static_cast<transport::coding>(data[0] % 4);
  const std::size_t step = 1 + data[0] / 4 * 16;
  const transport::inflate_limits limits{
      .ratio_max = 10, .bytes_max = 200'000, .body_max = 100'000};
  transport::inflate_guard guard{c, limits};
  std::string out;
  core::byte_view rest{data + 1, size - 1};
  std::size_t fed = 0;
  while (!rest.empty()) {
    auto piece = rest.first(std::min(step, rest.size()));
    rest = rest.subspan(piece.size());
    fed += piece.size();
    auto ok = guard.feed(piece, out);
    if (out.size() > limits.body_max || out.size() > fed * limits.ratio_max)
      std::abort();
    if (!ok)
      return 0;
  }
  (void)guard.finish();
  return 0;
}
