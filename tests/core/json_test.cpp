#include "core/json.hpp"

#include "core/base64.hpp"
#include "core/json_writer.hpp"
#include "random_json.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

namespace ron::core {
namespace {

using namespace std::string_literals;

std::string why(const result<json>& r) {
  return r ? "accepted" : r.error().message;
}

TEST(ParseJson, ReadsTheJsonDataModel) {
  auto v = parse_json(R"( {"a":[1,-2,3.5,true,false,null,"x\u00e9\ud83d\ude00"],"b":{}} )");
  ASSERT_TRUE(v) << why(v);
  EXPECT_EQ((*v)["a"][0], 1);
  EXPECT_EQ((*v)["a"][1], -2);
  EXPECT_EQ((*v)["a"][2], 3.5);
  EXPECT_EQ((*v)["a"][6], "x\xc3\xa9\xf0\x9f\x98\x80");
  EXPECT_TRUE((*v)["b"].empty());
}

TEST(ParseJson, ReadsWholeIntegersOf64Bits) {
  EXPECT_EQ(parse_json("18446744073709551615")->get<std::uint64_t>(), UINT64_MAX);
  EXPECT_EQ(parse_json("-9223372036854775808")->get<std::int64_t>(), INT64_MIN);
  EXPECT_TRUE(parse_json("18446744073709551616")->is_number_float());
}

TEST(ParseJson, RefusesWhatIsNotExactlyOneText) {
  for (const auto& bad :
       {""s, " "s, "{"s, "}"s, "[1,]"s, "{\"a\":1,}"s, "{a:1}"s, "{'a':1}"s, "01"s, "1."s, ".5"s,
        "+1"s, "NaN"s, "Infinity"s, "nul"s, "true false"s, "{}{}"s, "{} x"s, "\"\t\""s, "\"\\x\""s,
        "// c\n1"s, "/* c */1"s, "[1 2]"s, "\"abc"s, "1e999"s, "-1e999"s, "\"\\ud800\""s,
        "\"\\udc00\\ud800\""s, "\xef\xbb\xbf{}"s, "\xff"s, "\"\xc3\""s, "\"\xed\xa0\x80\""s,
        "{}\0"s, "{}\0garbage"s, "\0"s, "[1\0]"s}) {
    auto v = parse_json(bad);
    ASSERT_FALSE(v) << bad;
    EXPECT_EQ(v.error().code, ec::bad_request) << bad;
    EXPECT_FALSE(v.error().message.empty()) << bad;
  }
}

TEST(ParseJson, RefusesDuplicateKeysAtEveryDepth) {
  EXPECT_NE(why(parse_json(R"({"a":1,"a":2})")).find("duplicate key \"a\""), std::string::npos);
  EXPECT_FALSE(parse_json(R"([{"x":{"a":1,"b":[],"a":{}}}])"));
  EXPECT_FALSE(parse_json(R"({"a":1,"\u0061":2})"));
  EXPECT_TRUE(parse_json(R"([{"a":1},{"a":1}])"));
}

TEST(ParseJson, StopsAtTheDepthLimit) {
  auto nest = [](std::size_t n) { return std::string(n, '[') + std::string(n, ']'); };
  EXPECT_TRUE(parse_json(nest(limits::json_depth_max)));
  EXPECT_FALSE(parse_json(nest(limits::json_depth_max + 1)));
  EXPECT_FALSE(parse_json(std::string(1'000'000, '[')));
  std::string objects;
  for (int i = 0; i < 100'000; ++i)
    objects += "{\"a\":";
  EXPECT_NE(why(parse_json(objects)).find("nested deeper"), std::string::npos);
}

TEST(ParseJson, StopsAtTheSizeLimit) {
  json_limits lim{.bytes_max = 10};
  EXPECT_TRUE(parse_json("[1,2,3,45]", lim));
  auto v = parse_json("[1,2,3,456]", lim);
  ASSERT_FALSE(v);
  EXPECT_EQ(v.error().code, ec::body_cap);
}

TEST(ParseJson, StopsAtTheNumberOfValues) {
  json_limits lim{.values_max = 4};
  EXPECT_TRUE(parse_json("[1,2,3]", lim));
  EXPECT_FALSE(parse_json("[1,2,3,4]", lim));
  EXPECT_FALSE(parse_json(R"({"a":{"b":{"c":{"d":1}}}})", lim));
}

TEST(DumpJson, IsCompactAndOrdered) {
  json v{{"b", 1}, {"a", {true, nullptr, -5, 1.5, "x\n"}}};
  EXPECT_EQ(dump_json(v), R"({"a":[true,null,-5,1.5,"x\n"],"b":1})");
  EXPECT_EQ(dump_json(json::object()), "{}");
  EXPECT_EQ(dump_json(json::array({json::array(), json::object()})), "[[],{}]");
}

TEST(DumpJson, WritesByteStringsAsBase64) {
  json v{{"data", json::binary({0, 1, 2, 0xff})}};
  EXPECT_EQ(dump_json(v), R"({"data":"AAEC/w=="})");
}

TEST(DumpJson, NumbersReadBackAsTheyWere) {
  for (double d :
       {0.0, -0.0, 1.0, 0.1, 1e300, 5e-324, 1e21, 123456789.125, -1.7976931348623157e308}) {
    auto back = parse_json(dump_json(json(d)));
    ASSERT_TRUE(back) << d;
    EXPECT_TRUE(back->is_number_float()) << d;
    EXPECT_EQ(back->get<double>(), d);
  }
  EXPECT_EQ(dump_json(json(std::nan(""))), "null");
  EXPECT_EQ(dump_json(json(HUGE_VAL)), "null");
}

TEST(DumpJson, NeverWritesWhatIsNoUtf8) {
  EXPECT_EQ(dump_json(json("a\xff")), "\"a\xef\xbf\xbd\"");
}

TEST(DumpJson, AgreesWithTheLibraryAndRoundTrips) {
  for (std::uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    auto v = test::random_json(seed, {.binary = false});
    auto text = dump_json(v);
    auto back = parse_json(text);
    ASSERT_TRUE(back) << why(back) << text;
    ASSERT_EQ(*back, v) << text;
    ASSERT_EQ(json::parse(text), v);
    ASSERT_EQ(dump_json(*back), text);
  }
}

TEST(JsonWriter, PutsTheCommas) {
  std::string out;
  json_writer w{out};
  w.begin_object().member("a", 1).member("b", "x\"y").key("c").begin_array();
  w.value(true).value(2u).value(-3).null().begin_object().end_object().end_array();
  w.member("d", 0.5).member("e", bytes::copy("hi")).key("f").raw("[1]").end_object();
  EXPECT_EQ(out, R"({"a":1,"b":"x\"y","c":[true,2,-3,null,{}],"d":0.5,"e":"aGk=","f":[1]})");
}

TEST(JsonWriter, AppendsToWhatIsThere) {
  std::string out = "data: ";
  json_writer w{out};
  w.begin_array().end_array();
  EXPECT_EQ(out, "data: []");
}

} // namespace
} // namespace ron::core
