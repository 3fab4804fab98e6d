#include "transport/tor/control.hpp"

#include <cstdint>
#include <cstdlib>

namespace {

void expect(bool ok) {
  if (!ok)
    std::abort();
}

} // namespace

/// Any bytes as what a control port says: no crash, one bounded command at a time, a failure is for
/// ever. Byte 0xff stands for five seconds that pass.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace ron;
  constexpr std::size_t command_max = 512;
  constexpr std::uint8_t later = 0xff;
  core::instant now{};
  transport::tor::control_settings settings;
  settings.target = "127.0.0.1:1";
  transport::tor::control m{settings, now};
  bool failed = false;
  for (std::size_t i = 0; i < size; ++i) {
    if (data[i] == later)
      m.on_time(now += settings.poll);
    else
      m.on_bytes({data + i, 1}, now);
    if (m.take_cookie_request())
      m.on_cookie(std::string(transport::tor::control::cookie_bytes, 'c'), now);
    expect(m.take_output().size() <= command_max);
    expect(m.bootstrap() <= 100);
    expect(!failed || m.failure());
    expect(!m.failure() || !m.is_published());
    if (auto key = m.take_new_key())
      expect(transport::tor::is_onion_key(*key));
    failed = m.failure().has_value();
  }
  m.on_eof();
  expect(m.failure().has_value());
  return 0;
}
