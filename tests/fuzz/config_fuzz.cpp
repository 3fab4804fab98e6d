#include "core/config_render.hpp"

#include <cstdint>
#include <cstdlib>
#include <string>

/// Any bytes as a configuration file: no crash, messages safe to print, and a configuration that
/// was accepted prints to one that is the same.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ron::core::config;
  sources s;
  s.files.push_back({"input.ini", std::string{reinterpret_cast<const char*>(data), size}});
  auto got = load(s);
  if ((got.config == nullptr) != !got.errors.empty())
    std::abort();
  for (const auto& p : got.errors)
    for (char c : to_string(p))
      if (c < 0x20 || c == 0x7f)
        std::abort();
  if (got.config) {
    s.files[0].text = print_config(*got.config);
    auto again = load(s);
    if (!again.config || !diff(*got.config, *again.config).empty())
      std::abort();
  }
  return 0;
}
