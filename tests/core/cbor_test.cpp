#include "core/json.hpp"
#include "random_json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <string>
#include <vector>

namespace ron::core {
namespace {

std::vector<std::uint8_t> raw(std::string_view hex) {
  std::vector<std::uint8_t> out(hex.size() / 2);
  EXPECT_TRUE(from_hex(hex, out)) << hex;
  return out;
}

result<json> read(std::string_view hex) {
  return parse_cbor(byte_view{raw(hex)});
}

std::string why(const result<json>& r) {
  return r ? "accepted" : r.error().message;
}

struct sample {
  std::string_view hex;
  json value;
};

// RFC 8949, appendix A, as far as it is the JSON data model and byte strings.
const sample shortest[] = {
  {"00", 0},
  {"01", 1},
  {"0a", 10},
  {"17", 23},
  {"1818", 24},
  {"1864", 100},
  {"1903e8", 1000},
  {"1a000f4240", 1000000},
  {"1b000000e8d4a51000", 1000000000000},
  {"1bffffffffffffffff", UINT64_MAX},
  {"20", -1},
  {"29", -10},
  {"3863", -100},
  {"3903e7", -1000},
  {"3b7fffffffffffffff", INT64_MIN},
  {"f90000", 0.0},
  {"f93c00", 1.0},
  {"fb3ff199999999999a", 1.1},
  {"f93e00", 1.5},
  {"f97bff", 65504.0},
  {"fa47c35000", 100000.0},
  {"fa7f7fffff", 3.4028234663852886e+38},
  {"fb7e37e43c8800759c", 1.0e+300},
  {"f90001", 5.960464477539063e-8},
  {"f90400", 0.00006103515625},
  {"f9c400", -4.0},
  {"fbc010666666666666", -4.1},
  {"f4", false},
  {"f5", true},
  {"f6", nullptr},
  {"40", json::binary({})},
  {"4401020304", json::binary({1, 2, 3, 4})},
  {"60", ""},
  {"6161", "a"},
  {"6449455446", "IETF"},
  {"62225c", "\"\\"},
  {"62c3bc", "\xc3\xbc"},
  {"63e6b0b4", "\xe6\xb0\xb4"},
  {"64f0908591", "\xf0\x90\x85\x91"},
  {"80", json::array()},
  {"83010203", {1, 2, 3}},
  {"8301820203820405", {1, {2, 3}, {4, 5}}},
  {"98190102030405060708090a0b0c0d0e0f101112131415161718181819",
   {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25}},
  {"a0", json::object()},
  {"a26161016162820203", {{"a", 1}, {"b", {2, 3}}}},
  {"826161a161626163", json::array({"a", {{"b", "c"}}})},
};

TEST(ParseCbor, ReadsTheExamplesOfTheRfc) {
  for (const auto& s : shortest) {
    auto v = read(s.hex);
    ASSERT_TRUE(v) << s.hex << ' ' << why(v);
    EXPECT_EQ(*v, s.value) << s.hex;
    EXPECT_EQ(v->is_number_float(), s.value.is_number_float()) << s.hex;
  }
}

TEST(ParseCbor, ReadsIndefiniteLengths) {
  const sample samples[] = {
    {"5f42010243030405ff", json::binary({1, 2, 3, 4, 5})},
    {"7f657374726561646d696e67ff", "streaming"},
    {"5fff", json::binary({})},
    {"7fff", ""},
    {"9fff", json::array()},
    {"9f018202039f0405ffff", {1, {2, 3}, {4, 5}}},
    {"83018202039f0405ff", {1, {2, 3}, {4, 5}}},
    {"bf61610161629f0203ffff", {{"a", 1}, {"b", {2, 3}}}},
    {"bf7f6161ff01ff", {{"a", 1}}},
  };
  for (const auto& s : samples) {
    auto v = read(s.hex);
    ASSERT_TRUE(v) << s.hex << ' ' << why(v);
    EXPECT_EQ(*v, s.value) << s.hex;
  }
}

TEST(ParseCbor, ReadsLongerFormsOfShortNumbers) {
  EXPECT_EQ(read("1801").value(), 1);
  EXPECT_EQ(read("1b0000000000000001").value(), 1);
  EXPECT_EQ(read("79000161").value(), "a");
}

TEST(ParseCbor, RefusesWhatIsNotExactlyOneItem) {
  for (auto bad : {
         "",                             // nothing
         "0000",                         // two items
         "18", "19ff", "1a", "1b00",     // truncated numbers
         "1c", "1d", "1e", "1f", "3f",   // reserved, indefinite integers
         "44010203", "64494554",         // truncated strings
         "5bffffffffffffffff01",         // a length nobody has
         "7bffffffffffffffff61",
         "9bffffffffffffffff01",
         "bbffffffffffffffff616101",
         "83", "8301", "9f", "9f01", "a1", "a16161", "bf", "bf6161", // truncated containers
         "ff", "81ff", "a1ff", "bf6161ff", // a break where none may be
         "5f00ff", "5f6161ff", "7f4161ff", // chunks of another type
         "5f5f4101ffff", "7f7f6161ffff",   // nested chunks
         "5f", "7f6161",
         "c000", "c11a514b67b0", "d9d9f700", // tags
         "e0", "f0", "f7", "f8ff", "f800", "fc", // simple values, undefined
         "f97c00", "f97e00", "f9fc00", "fa7f800000", "fb7ff8000000000000", // not finite
         "3b8000000000000000", "3bffffffffffffffff", // below 64 bits
         "a10102", "a1410102", "a1f601", "a18001",   // keys that are no text
         "61ff", "62c328", "63eda080", "7f61c361a9ff", "a161ff01", // no UTF-8
       }) {
    auto v = read(bad);
    ASSERT_FALSE(v) << bad;
    EXPECT_EQ(v.error().code, ec::bad_request) << bad;
  }
}

TEST(ParseCbor, RefusesDuplicateKeys) {
  EXPECT_NE(why(read("a2616101616102")).find("duplicate key \"a\""), std::string::npos);
  EXPECT_FALSE(read("bf616101616102ff"));
  EXPECT_FALSE(read("a26161017f6161ff02")); // the same key in two encodings
}

TEST(ParseCbor, StopsAtTheDepthLimit) {
  auto nest = [](std::size_t n) {
    std::vector<std::uint8_t> out(n, 0x81);
    out.push_back(0x00);
    return parse_cbor(byte_view{out});
  };
  EXPECT_TRUE(nest(limits::json_depth_max));
  EXPECT_FALSE(nest(limits::json_depth_max + 1));
}

TEST(ParseCbor, AHostileNestDoesNotReachTheStack) {
  constexpr std::uint8_t openers[] = {0x81, 0x9f, 0xa1, 0xbf, 0x5f, 0x7f, 0xc1, 0xd8};
  for (auto opener : openers) {
    std::vector<std::uint8_t> v(limits::json_body_bytes_max, opener);
    EXPECT_FALSE(parse_cbor(byte_view{v})) << int{opener};
  }
  std::vector<std::uint8_t> maps;
  while (maps.size() < limits::json_body_bytes_max - 3)
    maps.insert(maps.end(), {0xa1, 0x61, 0x61});
  EXPECT_FALSE(parse_cbor(byte_view{maps}));
}

TEST(ParseCbor, StopsAtTheSizeLimitAndTheNumberOfValues) {
  auto four = raw("83010203");
  EXPECT_TRUE(parse_cbor(byte_view{four}, {.bytes_max = 4, .values_max = 4}));
  EXPECT_FALSE(parse_cbor(byte_view{four}, {.values_max = 3}));
  auto v = parse_cbor(byte_view{four}, {.bytes_max = 3});
  ASSERT_FALSE(v);
  EXPECT_EQ(v.error().code, ec::body_cap);
}

TEST(DumpCbor, WritesTheShortestForm) {
  for (const auto& s : shortest)
    EXPECT_EQ(to_hex(dump_cbor(s.value).view()), s.hex);
  EXPECT_EQ(to_hex(dump_cbor(json(-0.0)).view()), "f98000");
  EXPECT_EQ(to_hex(dump_cbor(json(HUGE_VAL)).view()), "f97c00");
  EXPECT_EQ(to_hex(dump_cbor(json(-HUGE_VAL)).view()), "f9fc00");
  EXPECT_EQ(to_hex(dump_cbor(json(std::nan(""))).view()), "f97e00");
  EXPECT_EQ(to_hex(dump_cbor(json(65536.0)).view()), "fa47800000");
  EXPECT_EQ(to_hex(dump_cbor(json(65505.0)).view()), "fa477fe100");
  EXPECT_EQ(to_hex(dump_cbor(json(2.9802322387695312e-8)).view()), "fa33000000");
}

TEST(DumpCbor, EveryHalfIsWrittenAsAHalf) {
  for (unsigned h = 0; h < 0x10000; ++h) {
    if ((h & 0x7c00) == 0x7c00)
      continue; // infinite or no number
    std::vector<std::uint8_t> in{0xf9, static_cast<std::uint8_t>(h >> 8),
                                 static_cast<std::uint8_t>(h)};
    auto v = parse_cbor(byte_view{in});
    ASSERT_TRUE(v);
    ASSERT_EQ(to_hex(dump_cbor(*v).view()), to_hex(in));
  }
}

TEST(DumpCbor, SortsKeysByTheirEncodedBytes) {
  json v{{"aa", 1}, {"b", 2}, {"c", 3}, {"", 4}};
  EXPECT_EQ(to_hex(dump_cbor(v).view()), "a460046162026163036261" "6101");
}

TEST(DumpCbor, RoundTripsAndIsReadByTheLibrary) {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto v = test::random_json(seed);
    auto data = dump_cbor(v);
    auto back = parse_cbor(data.view());
    ASSERT_TRUE(back) << why(back);
    ASSERT_EQ(*back, v);
    ASSERT_EQ(dump_cbor(*back), data);
    auto theirs = json::from_cbor(data.view().begin(), data.view().end());
    ASSERT_EQ(theirs, v);
    auto written = json::to_cbor(v);
    auto read_theirs = parse_cbor(byte_view{written});
    ASSERT_TRUE(read_theirs) << why(read_theirs);
    ASSERT_EQ(*read_theirs, v);
  }
}

TEST(ParseCbor, NeverFailsInAnotherWayOnDamagedInput) {
  std::mt19937 random{4711};
  for (std::uint32_t seed = 1; seed <= 200; ++seed) {
    auto data = dump_cbor(test::random_json(seed));
    std::vector<std::uint8_t> v(data.data(), data.data() + data.size());
    for (int round = 0; round < 50 && !v.empty(); ++round) {
      v[random() % v.size()] = static_cast<std::uint8_t>(random());
      if (auto r = parse_cbor(byte_view{v})) {
        EXPECT_EQ(parse_cbor(dump_cbor(*r).view()), r);
        EXPECT_TRUE(parse_json(dump_json(*r)));
      } else {
        EXPECT_EQ(r.error().code, ec::bad_request);
      }
    }
  }
}

} // namespace
} // namespace ron::core
