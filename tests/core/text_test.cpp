#include "core/base64.hpp"
#include "core/sip_hash.hpp"
#include "core/utf8.hpp"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>

namespace ron::core {
namespace {

using namespace std::string_literals;

std::string escaped(std::string_view s) {
  std::string out;
  append_json_escaped(out, s);
  return out;
}

byte_view view(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

TEST(Utf8, AcceptsExactlyTheSequencesOfRfc3629) {
  // Every code point, encoded by the rules, is valid except the surrogates.
  for (unsigned c = 0; c <= 0x10ffff; ++c) {
    std::string s;
    auto put = [&s](unsigned b) { s += static_cast<char>(b); };
    if (c < 0x80) {
      put(c);
    } else if (c < 0x800) {
      put(0xc0 | c >> 6);
      put(0x80 | (c & 63));
    } else if (c < 0x10000) {
      put(0xe0 | c >> 12);
      put(0x80 | (c >> 6 & 63));
      put(0x80 | (c & 63));
    } else {
      put(0xf0 | c >> 18);
      put(0x80 | (c >> 12 & 63));
      put(0x80 | (c >> 6 & 63));
      put(0x80 | (c & 63));
    }
    bool surrogate = c >= 0xd800 && c < 0xe000;
    ASSERT_EQ(valid_utf8(s), !surrogate) << std::hex << c;
    if (!surrogate) {
      ASSERT_EQ(utf8_sequence(s), s.size()) << std::hex << c;
    }
  }
}

TEST(Utf8, RefusesEveryOtherForm) {
  for (auto bad : {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xc3", "\xc3\x28", "\xe0\x80\x80",
                   "\xe0\x9f\xbf", "\xe2\x82", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf0\x9f\x98",
                   "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "aaaaaaaa\xff", "aaaaaaa\xc3"})
    EXPECT_FALSE(valid_utf8(bad)) << escaped(bad);
}

TEST(Utf8, CutsBetweenSequences) {
  EXPECT_EQ(clip_utf8("abc", 5), "abc");
  EXPECT_EQ(clip_utf8("abc", 2), "ab");
  EXPECT_EQ(clip_utf8("a\xc3\xa9z", 2), "a");
  EXPECT_EQ(clip_utf8("a\xc3\xa9z", 3), "a\xc3\xa9");
  EXPECT_EQ(clip_utf8("\xf0\x9f\x98\x80", 3), "");
  EXPECT_EQ(clip_utf8("abc", 0), "");
}

TEST(Utf8, RepairsWhatIsBroken) {
  EXPECT_EQ(repair_utf8("na\xc3\xafve"), "na\xc3\xafve");
  EXPECT_EQ(repair_utf8("a\xff\xc3" "b"), "a\xef\xbf\xbd\xef\xbf\xbd" "b");
  EXPECT_EQ(repair_utf8(""), "");
}

TEST(JsonEscape, WritesWhatJsonNeedsAndNoMore) {
  EXPECT_EQ(escaped("plain text, na\xc3\xafve"), "plain text, na\xc3\xafve");
  EXPECT_EQ(escaped("\"\\\b\f\n\r\t\x01\x1f"), R"(\"\\\b\f\n\r\t\u0001\u001f)");
  EXPECT_EQ(escaped("a\0b"s), R"(a\u0000b)");
}

TEST(JsonEscape, ReplacesWhatIsNoUtf8) {
  EXPECT_EQ(escaped("a\xff" "b\xc3"), "a\xef\xbf\xbd" "b\xef\xbf\xbd");
}

TEST(JsonEscape, LeavesNothingThatATerminalObeys) {
  EXPECT_EQ(escaped("\x1b[31m\x7f"), R"(\u001b[31m\u007f)");
  EXPECT_EQ(escaped("\xc2\x9b" "31m"), R"(\u009b31m)");             // C1 control
  EXPECT_EQ(escaped("\xe2\x80\xae" "x"), R"(\u202ex)");             // right-to-left override
  EXPECT_EQ(escaped("\xe2\x81\xa6\xe2\x80\xa8"), R"(\u2066\u2028)"); // isolate, line separator
}

TEST(Base64, IsThatOfRfc4648) {
  const std::pair<std::string_view, std::string_view> vectors[] = {
    {"", ""},           {"f", "Zg=="},         {"fo", "Zm8="},         {"foo", "Zm9v"},
    {"foob", "Zm9vYg=="}, {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
  };
  for (auto [plain, text] : vectors) {
    EXPECT_EQ(base64_encode(view(plain)), text);
    ASSERT_TRUE(base64_decode(text)) << text;
    EXPECT_EQ(base64_decode(text)->text(), plain);
  }
  EXPECT_EQ(base64url_encode(view("\xfb\xff\xfe?")), "-__-Pw");
  EXPECT_EQ(base64url_decode("-__-Pw")->text(), "\xfb\xff\xfe?");
}

TEST(Base64, RefusesWhatTheEncoderWouldNotWrite) {
  for (auto bad : {"Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm8", "Zm9v=", "====", "=",
                   "Zg==Zg==", "Zm 9", "Zm9v\n", "-_-_", "Zm\xff" "v", "Z===", "Zm=v"})
    EXPECT_FALSE(base64_decode(bad)) << bad;
  for (auto bad : {"Z", "Zg==", "Zh", "Zm9", "+/+/", "Zm8="})
    EXPECT_FALSE(base64url_decode(bad)) << bad;
}

TEST(Base64, RoundTripsAnyBytes) {
  std::mt19937 random{20'260'131};
  for (std::size_t n = 0; n < 200; ++n) {
    std::string s(n, '\0');
    for (auto& c : s)
      c = static_cast<char>(random());
    EXPECT_EQ(base64_decode(base64_encode(view(s)))->text(), s);
    EXPECT_EQ(base64url_decode(base64url_encode(view(s)))->text(), s);
  }
}

TEST(SipHash, MatchesItsVectors) {
  constexpr sip_key key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  std::array<std::uint8_t, 15> in{};
  for (std::size_t i = 0; i < in.size(); ++i)
    in[i] = static_cast<std::uint8_t>(i);
  EXPECT_EQ(sip_hash_24(key, in), 0xa129ca6149be45e5u);
  EXPECT_EQ(sip_hash_24(key, {}), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(sip_hash_13(key, {}), 0xabac0158050fc4dcu);
}

TEST(SipHash, KeyedHashIsStableInAProcessAndDependsOnEveryByte) {
  std::string a(67, 'x');
  EXPECT_EQ(keyed_hash(a), keyed_hash(view(a)));
  for (std::size_t i = 0; i < a.size(); ++i) {
    auto b = a;
    b[i] = 'y';
    EXPECT_NE(keyed_hash(a), keyed_hash(b)) << i;
  }
}

} // namespace
} // namespace ron::core
