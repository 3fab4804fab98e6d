#include "transport/tor/socks5.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>

namespace {

void expect(bool ok) {
  if (!ok)
    std::abort();
}

} // namespace

/// Any bytes as what a SOCKS server says, the first one choosing how they are cut: no crash, and
/// the same end however they are cut.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ron::transport::tor;
  if (size == 0)
    return 0;
  const std::size_t step = data[0] % 16 + 1;
  const ron::core::byte_view all{data + 1, size - 1};
  auto whole = socks5_dial::make({"a.onion", 1, "tenant"}).value();
  auto cut = whole;
  const auto used = whole.on_bytes(all);
  expect(used <= all.size());
  std::size_t used_cut = 0;
  for (std::size_t at = 0; at < all.size(); at += step)
    used_cut += cut.on_bytes(all.subspan(at, std::min(step, all.size() - at)));
  expect(used == used_cut && whole.is_open() == cut.is_open());
  expect(whole.failure() == cut.failure());
  expect(!(whole.is_open() && whole.failure()));
  expect(whole.take_output() == cut.take_output());
  return 0;
}
