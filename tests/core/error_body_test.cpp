#include "core/error_body.hpp"

#include "core/json.hpp"
#include "core/utf8.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace ron::core {
namespace {

TEST(ErrorBody, HasTheSixFields) {
  error e{ec::quota, "rate of this tenant is used up", 1'200};
  EXPECT_EQ(error_body(e, "01ARZ3NDEKTSV4RRFFQ69G5FAV"),
            R"({"code":"quota_exhausted","message":"rate of this tenant is used up",)"
            R"("reason":"quota","retryable":true,"retry_after_ms":1200,)"
            R"("corr_id":"01ARZ3NDEKTSV4RRFFQ69G5FAV"})");
}

TEST(ErrorBody, SaysWhenToComeBackOnlyWhenThatMakesSense) {
  EXPECT_EQ(error_json({ec::not_found, "no"}, "c").count("retry_after_ms"), 0u);
  EXPECT_EQ(error_json({ec::busy, "full"}, "c")["retry_after_ms"], 1'000); // 503 always says
  EXPECT_EQ(error_json({ec::quota, "used up"}, "c")["retry_after_ms"], 1'000);
}

TEST(ErrorBody, RetryAfterIsWholeSecondsRoundedUp) {
  EXPECT_EQ(retry_after_s({ec::busy, "", 1}), 1u);
  EXPECT_EQ(retry_after_s({ec::busy, "", 1'000}), 1u);
  EXPECT_EQ(retry_after_s({ec::busy, "", 1'001}), 2u);
  EXPECT_EQ(retry_after_s({ec::busy, "", UINT32_MAX}), 4'294'968u);
  EXPECT_EQ(retry_after_s({ec::draining, ""}), 1u);
  EXPECT_EQ(retry_after_s({ec::internal, ""}), 0u);
}

TEST(ErrorBody, IsTheSameInEveryForm) {
  for (std::size_t i = 1; i < ec_count; ++i) {
    error e{static_cast<ec>(i), "why \"so\"\n", i % 2 == 0 ? 0u : 250u};
    auto value = error_json(e, "corr");
    EXPECT_EQ(parse_json(error_body(e, "corr")).value(), value);
    EXPECT_EQ(parse_cbor(error_body_cbor(e, "corr").view()).value(), value);
    std::set<std::string> keys;
    for (const auto& [k, v] : value.items())
      keys.insert(k);
    keys.erase("retry_after_ms");
    EXPECT_EQ(keys, (std::set<std::string>{"code", "message", "reason", "retryable", "corr_id"}));
  }
}

TEST(ErrorBody, CutsLongMessagesAndRepairsText) {
  std::string text;
  while (text.size() < 5'000)
    text += "\xc3\xa9";
  auto v = parse_json(error_body({ec::internal, "x" + text}, "c"));
  ASSERT_TRUE(v);
  auto message = (*v)["message"].get<std::string>();
  EXPECT_LE(message.size(), limits::error_message_bytes_max);
  EXPECT_TRUE(valid_utf8(message));
  error broken{ec::internal, "bad \xff byte"};
  EXPECT_EQ(parse_json(error_body(broken, "c")).value(),
            parse_cbor(error_body_cbor(broken, "c").view()).value());
}

} // namespace
} // namespace ron::core
