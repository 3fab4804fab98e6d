#include "core/json.hpp"
#include "transport/http/target.hpp"
#include "transport/operation.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace {

using namespace ron;
using namespace ron::http;
using transport::query_param;

const std::vector<query_param> spec{{"limit", query_param::type::integer},
                                    {"prefix"},
                                    {"cursor"},
                                    {"since", query_param::type::integer}};

core::result<core::json> query(std::string_view text, core::json args = core::json::object()) {
  if (auto r = read_query(text, spec, args); !r)
    return std::unexpected{r.error()};
  return args;
}

TEST(HttpTarget, SplitsAtTheFirstQuestionMark) {
  EXPECT_EQ(split_target("/a?b?c").path, "/a");
  EXPECT_EQ(split_target("/a?b?c").query, "b?c");
  EXPECT_EQ(split_target("/a").query, "");
  EXPECT_EQ(split_target("/a?").path, "/a");
}

TEST(HttpTarget, ReadsWhatTheRouteLists) {
  auto r = query("limit=5&prefix=a%2Fb+c%2B&since=-7");
  ASSERT_TRUE(r) << r.error().message;
  EXPECT_EQ(*r, (core::json{{"limit", 5}, {"prefix", "a/b c+"}, {"since", -7}}));
  EXPECT_EQ(*query(""), core::json::object());
  EXPECT_EQ(query("prefix")->at("prefix"), "");
  EXPECT_EQ(query("prefix=a%2541")->at("prefix"), "a%41") << "decoded once";
  EXPECT_EQ(query("prefix=a=b")->at("prefix"), "a=b");
}

TEST(HttpTarget, RefusesWhatItDoesNotList) {
  for (auto text : {"other=1", "limit=1&limit=1", "limit=1&limit=2", "Limit=1", "&", "limit=1&",
                    "limit=1&&prefix=a", "=1", "prefix=%", "prefix=%4", "prefix=%zz", "prefix=%00",
                    "prefix=%ff", "%6c%69mit=1&limit=2", "limit=1;prefix=a"}) {
    auto r = query(text);
    ASSERT_FALSE(r) << text;
    EXPECT_EQ(r.error().code, core::ec::bad_request) << text;
  }
}

TEST(HttpTarget, RefusesWhatThePathSaysAlready) {
  EXPECT_FALSE(query("prefix=a", core::json{{"prefix", "b"}}));
}

TEST(HttpTarget, IntegersAreStrict) {
  EXPECT_EQ(query("limit=0")->at("limit"), 0);
  EXPECT_EQ(query("limit=9223372036854775807")->at("limit"),
            std::numeric_limits<std::int64_t>::max());
  for (auto text : {"limit=", "limit", "limit=+1", "limit=%2B1", "limit=01", "limit=1.0",
                    "limit=1e3", "limit=0x1", "limit= 1", "limit=1 ", "limit=--1", "limit=-",
                    "limit=-0", "limit=9223372036854775808", "limit=99999999999999999999"})
    EXPECT_FALSE(query(text)) << text;
}

} // namespace
