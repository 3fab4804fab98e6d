#include "support/zstd_text.hpp"
#include "transport/oap_inflate.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace ron;

constexpr std::size_t head_bytes = 5;

void must(bool ok) {
  if (!ok)
    std::abort();
}

core::byte_view view_of(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

std::string joined(const std::vector<core::bytes>& pieces) {
  std::string out;
  for (const auto& piece : pieces)
    out += piece.text();
  return out;
}

/// What is accepted is within every bound and what zstd's own one-step call makes of it.
void check_accepted(core::byte_view packed, std::uint32_t raw_len, const std::string& raw,
                    const transport::inflate_limits& limits) {
  must(raw.size() == raw_len && raw_len <= limits.bytes_max);
  must(raw.size() <= packed.size() * limits.ratio_max);
  std::string other(raw.size() + 1, '\0');
  must(ZSTD_decompress(other.data(), other.size(), packed.data(), packed.size()) == raw.size());
  other.pop_back();
  must(raw == other);
}

/// Packed by us the input is accepted if the ratio allows it, and with its own length alone.
void check_round_trip(std::string_view text, const transport::inflate_limits& limits) {
  if (text.empty())
    return;
  auto packed = test::zstd_frame(text, 1);
  auto n = static_cast<std::uint32_t>(text.size());
  auto raw = transport::inflate_frame(view_of(packed), n, limits);
  bool within = n <= limits.bytes_max && n <= packed.size() * limits.ratio_max;
  must(raw.has_value() == within && (!raw || joined(*raw) == text));
  must(!transport::inflate_frame(view_of(packed), n + 1, limits));
  must(!transport::inflate_frame(view_of(packed), n - 1, limits));
}

} // namespace

/// The first byte picks the bounds, four more are raw_len, the rest is what the frame carries.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < head_bytes)
    return 0;
  std::uint32_t raw_len = 0;
  for (std::size_t i = 1; i < head_bytes; ++i)
    raw_len = raw_len << 8 | data[i];
  const transport::inflate_limits limits{.ratio_max = 1u + data[0] % 100,
                                         .bytes_max = data[0] & 1 ? 8u << 20 : 100'000u};
  core::byte_view packed{data + head_bytes, size - head_bytes};
  if (auto raw = transport::inflate_frame(packed, raw_len, limits))
    check_accepted(packed, raw_len, joined(*raw), limits);
  check_round_trip({reinterpret_cast<const char*>(packed.data()), packed.size()}, limits);
  return 0;
}
