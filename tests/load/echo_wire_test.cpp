#include "load/echo_wire.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace {

using namespace ron;
using load::echo_wire;

std::string text_of(const std::vector<core::bytes>& slices) {
  std::string out;
  for (const auto& s : slices)
    out += s.text();
  return out;
}

std::string output_of(echo_wire& wire) {
  std::vector<core::bytes> out;
  wire.take_output(out);
  return text_of(out);
}

core::byte_view bytes_of(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::unique_ptr<echo_wire> onion() {
  return load::onion_wires({"a.onion", 443, "word"})(std::nullopt).value();
}

using namespace std::string_view_literals;
constexpr auto answers = "\5\2\1\0\5\0\0\1\0\0\0\0\0\0"sv; // method, auth, granted

TEST(OnionWire, WhatFollowsTheTunnelInOneReadIsPlain) {
  for (std::size_t cut = 0; cut < answers.size(); ++cut) {
    auto wire = onion();
    EXPECT_EQ(output_of(*wire).front(), '\5');
    std::vector<core::bytes> plain;
    // Each answer alone, as a server gives them; the last comes in two reads, with bytes behind it.
    for (std::size_t at = 0; at < answers.size();) {
      const auto n = at < 4 ? 2 : at < cut ? cut - at : answers.size() - at;
      std::string piece{answers.substr(at, n)};
      at += n;
      if (at == answers.size())
        piece += "hello";
      ASSERT_TRUE(wire->on_bytes(bytes_of(piece), plain).has_value());
      EXPECT_EQ(wire->is_open(), at == answers.size());
      output_of(*wire);
    }
    EXPECT_EQ(text_of(plain), "hello");
    std::vector<core::bytes> out{core::bytes::copy("one"sv), core::bytes::copy("two"sv)};
    ASSERT_TRUE(wire->write(out).has_value());
    EXPECT_EQ(output_of(*wire), "onetwo");
    EXPECT_EQ(output_of(*wire), "");
  }
}

TEST(OnionWire, ARefusalIsAnError) {
  auto wire = onion();
  std::vector<core::bytes> plain;
  ASSERT_TRUE(wire->on_bytes(bytes_of("\5\2"sv), plain).has_value());
  ASSERT_TRUE(wire->on_bytes(bytes_of("\1\0"sv), plain).has_value());
  const auto done = wire->on_bytes(bytes_of("\5\xf0\0\1\0\0\0\0\0\0"sv), plain);
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().code, core::ec::tor_unavailable);
  EXPECT_TRUE(plain.empty());
}

TEST(OnionWire, AnAddressOutOfRangeIsRefusedAtOnce) {
  EXPECT_FALSE(load::onion_wires({"", 443, ""})(std::nullopt).has_value());
}

} // namespace
