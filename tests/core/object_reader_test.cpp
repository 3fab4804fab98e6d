#include "core/object_reader.hpp"

#include "core/json.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ron::core {
namespace {

std::string problems(object_reader& in) {
  auto r = in.finish();
  if (r)
    return "";
  EXPECT_EQ(r.error().code, ec::bad_request);
  return r.error().message;
}

const std::string some_cid = "b3:" + std::string(64, 'a');

TEST(ObjectReader, ReadsEveryType) {
  json v{{"t", "text"}, {"u", 7}, {"s", -7}, {"b", true}, {"d", "AAE="}, {"c", some_cid},
         {"l", {"x", "y"}}, {"o", {{"k", 1}}}, {"a", {1, 2}}};
  object_reader in{v};
  EXPECT_EQ(in.text("t"), "text");
  EXPECT_EQ(in.uint("u", 0, 10), 7u);
  EXPECT_EQ(in.sint("s", -10, 10), -7);
  EXPECT_TRUE(in.boolean("b"));
  EXPECT_EQ(in.binary("d", 10), bytes::copy(std::string_view{"\0\1", 2}));
  EXPECT_EQ(in.cid("c").to_text(), some_cid);
  EXPECT_EQ(in.texts("l", 4, {}), (std::vector<std::string>{"x", "y"}));
  EXPECT_EQ(*in.object("o"), (json{{"k", 1}}));
  EXPECT_EQ(in.array("a", 2)->size(), 2u);
  EXPECT_EQ(problems(in), "");
}

TEST(ObjectReader, MissingOptionalFieldsAreNothing) {
  json v = json::object();
  object_reader in{v};
  EXPECT_FALSE(in.optional_text("t"));
  EXPECT_FALSE(in.optional_uint("u", 0, 1));
  EXPECT_FALSE(in.optional_sint("s", 0, 1));
  EXPECT_FALSE(in.optional_boolean("b"));
  EXPECT_FALSE(in.optional_binary("d", 1));
  EXPECT_FALSE(in.optional_cid("c"));
  EXPECT_FALSE(in.optional_texts("l", 1, {}));
  EXPECT_EQ(in.optional_object("o"), nullptr);
  EXPECT_EQ(in.optional_array("a", 1), nullptr);
  EXPECT_EQ(in.any("x"), nullptr);
  EXPECT_TRUE(in.good());
  EXPECT_EQ(problems(in), "");
}

TEST(ObjectReader, RefusesUnknownFieldsAndNamesTheKnownOnes) {
  json v{{"a", 1}, {"x", 2}};
  object_reader in{v};
  in.uint("a", 0, 9);
  in.optional_text("b");
  in.optional_text("c");
  EXPECT_EQ(problems(in), "unknown field \"x\"; expected a, b, c");
}

TEST(ObjectReader, AskingWithHasDoesNotMakeAFieldKnown) {
  json v{{"x", 2}};
  object_reader in{v};
  EXPECT_TRUE(in.has("x"));
  EXPECT_FALSE(in.has("y"));
  EXPECT_EQ(problems(in), "unknown field \"x\"");
}

TEST(ObjectReader, CollectsAllProblems) {
  json v{{"a", "x"}, {"c", 1}};
  object_reader in{v};
  in.uint("a", 0, 9);
  in.text("b");
  EXPECT_FALSE(in.good());
  EXPECT_EQ(problems(in), "field \"a\" is text; expected an integer of 0..9; "
                          "missing field \"b\"; unknown field \"c\"; expected a, b");
}

TEST(ObjectReader, NeverClamps) {
  json v{{"low", 0}, {"high", 11}, {"neg", -1}, {"frac", 1.5}, {"whole", 2.0},
         {"huge", UINT64_MAX}, {"min", INT64_MIN}};
  for (auto name : {"low", "high", "neg", "frac", "whole", "huge", "min"}) {
    object_reader in{v};
    EXPECT_FALSE(in.optional_uint(name, 1, 10)) << name;
    EXPECT_FALSE(in.good()) << name;
  }
  for (auto name : {"low", "high", "frac", "whole", "huge", "min"}) {
    object_reader in{v};
    EXPECT_FALSE(in.optional_sint(name, -1, -1)) << name;
    EXPECT_FALSE(in.good()) << name;
  }
  object_reader in{v};
  EXPECT_EQ(in.optional_uint("huge", 0, UINT64_MAX), UINT64_MAX);
  EXPECT_EQ(in.optional_sint("min", INT64_MIN, 0), INT64_MIN);
  EXPECT_TRUE(in.good());
}

TEST(ObjectReader, BoundsAreIncluded) {
  json v{{"a", 1}, {"b", 10}};
  object_reader in{v};
  EXPECT_EQ(in.uint("a", 1, 10), 1u);
  EXPECT_EQ(in.uint("b", 1, 10), 10u);
  EXPECT_EQ(problems(in), "");
}

TEST(ObjectReader, ChecksTheLengthOfTexts) {
  json v{{"a", ""}, {"b", "12345"}};
  object_reader in{v};
  in.text("a");
  in.text("b", {.max_bytes = 4});
  EXPECT_EQ(problems(in), "field \"a\" has 0 bytes; expected 1..1024; "
                          "field \"b\" has 5 bytes; expected 1..4");
  object_reader again{v};
  EXPECT_EQ(again.text("a", {.min_bytes = 0}), "");
  EXPECT_EQ(again.text("b", {.max_bytes = 5}), "12345");
  EXPECT_TRUE(again.good());
}

TEST(ObjectReader, NullIsNotMissing) {
  json v{{"a", nullptr}};
  object_reader in{v};
  EXPECT_FALSE(in.optional_text("a"));
  EXPECT_EQ(problems(in), "field \"a\" is null; expected text");
}

TEST(ObjectReader, TakesBytesFromBothFormats) {
  json v{{"cbor", json::binary({1, 2})}, {"json", "AQI="}, {"bad", "AQI"}, {"long", "AAAA"}};
  object_reader in{v};
  EXPECT_EQ(in.binary("cbor", 2), in.binary("json", 2));
  in.binary("bad", 2);
  in.binary("long", 2);
  EXPECT_EQ(problems(in), "field \"bad\" is not base64; "
                          "field \"long\" has 3 bytes; expected at most 2");
}

TEST(ObjectReader, ChecksContentIds) {
  json v{{"a", "b3:xyz"}, {"b", 1}};
  object_reader in{v};
  in.cid("a");
  in.cid("b");
  EXPECT_EQ(problems(in), "field \"a\" is no content id; expected b3:<64 lower-case hex>; "
                          "field \"b\" is an integer; expected b3:<64 lower-case hex>");
}

TEST(ObjectReader, BoundsLists) {
  json v{{"a", {"x", "y", "z"}}, {"b", {"x", 1}}, {"c", "x"}};
  object_reader in{v};
  EXPECT_TRUE(in.texts("a", 2, {}).empty());
  EXPECT_TRUE(in.texts("b", 2, {}).empty());
  EXPECT_EQ(in.array("c", 2), nullptr);
  EXPECT_EQ(problems(in), "field \"a\" has 3 items; expected at most 2; "
                          "field \"b\" is an integer; expected text; "
                          "field \"c\" is text; expected a list");
}

TEST(ObjectReader, RefusesAnythingButAnObject) {
  for (const auto& v : {json(1), json("x"), json::array(), json(nullptr)}) {
    object_reader in{v, "body"};
    EXPECT_EQ(in.text("a"), "");
    EXPECT_FALSE(in.has("a"));
    EXPECT_NE(problems(in).find("; expected an object"), std::string::npos);
  }
}

TEST(ObjectReader, ACallersOwnProblemJoinsTheList) {
  json v{{"a", "x"}};
  object_reader in{v};
  in.text("a");
  in.refuse("a", "is taken");
  EXPECT_EQ(problems(in), "field \"a\" is taken");
}

TEST(ObjectReader, TheMessageStaysShortAndPlain) {
  json v = json::object();
  for (int i = 0; i < 1'000; ++i)
    v["field\x1b[31m" + std::to_string(i) + std::string(500, 'x')] = i;
  object_reader in{v};
  auto text = problems(in);
  EXPECT_LE(text.size(), limits::error_message_bytes_max);
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_NE(text.find("and 992 more"), std::string::npos);
}

} // namespace
} // namespace ron::core
