#include "core/error.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

namespace ron::core {
namespace {

std::vector<ec> all_values() {
  std::vector<ec> out;
  for (std::size_t i = 0; i < ec_count; ++i)
    out.push_back(static_cast<ec>(i));
  return out;
}

// The error table of the HTTP surface: status, then code and reason of each row.
using http_row = std::tuple<std::uint16_t, std::string_view, std::string_view>;
const std::set<http_row> http_table{
  {400, "bad_request", "bad_request"},
  {401, "unauth", "unauth"},
  {403, "forbidden", "forbidden"},
  {404, "not_found", "not_found"},
  {405, "method_not_allowed", "method"},
  {408, "timeout", "timeout"},
  {409, "conflict", "conflict"},
  {409, "digest_mismatch", "digest"},
  {412, "precondition_failed", "precondition"},
  {413, "payload_too_large", "body_cap"},
  {413, "payload_too_large", "decompress_cap"},
  {413, "payload_too_large", "ratio_cap"},
  {415, "unsupported_media_type", "coding"},
  {415, "unsupported_media_type", "media_type"},
  {416, "range_not_satisfiable", "range"},
  {417, "expectation_failed", "expectation"},
  {429, "quota_exhausted", "quota"},
  {431, "headers_too_large", "headers"},
  {500, "internal", "internal"},
  {502, "bad_gateway", "downstream_5xx"},
  {502, "bad_digest", "integrity"},
  {503, "unavailable", "busy"},
  {503, "unavailable", "degraded"},
  {503, "unavailable", "draining"},
  {503, "unavailable", "conn_cap"},
  {504, "downstream_timeout", "downstream_timeout"},
  {507, "insufficient_storage", "disk_full"},
  {507, "insufficient_storage", "store_quota"},
};

// The application and transport reasons of OAP/1 with their status.
const std::map<std::uint16_t, std::uint16_t> oap_table{
  {0x100, 400}, {0x101, 401}, {0x102, 403}, {0x103, 404}, {0x104, 409}, {0x105, 412},
  {0x106, 409}, {0x107, 413}, {0x108, 429}, {0x109, 503}, {0x10a, 503}, {0x10b, 503},
  {0x10c, 502}, {0x10d, 502}, {0x10e, 504}, {0x10f, 507}, {0x110, 507}, {0x111, 404},
  {0x112, 429}, {0x113, 416}, {0x114, 500}, {0x1f0, 499}, {0x1f1, 503},
};

TEST(ErrorTable, EveryValueDescribesItself) {
  std::set<std::string_view> names;
  for (auto v : all_values()) {
    const auto& row = info(v);
    EXPECT_EQ(row.value, v);
    EXPECT_FALSE(row.code.empty()) << to_string(v);
    EXPECT_FALSE(row.reason.empty()) << to_string(v);
    EXPECT_TRUE(names.insert(to_string(v)).second) << to_string(v);
  }
}

TEST(ErrorTable, IsTheTableOfTheHttpSurface) {
  std::set<http_row> ours;
  for (auto v : all_values())
    if (v != ec::none && v != ec::cancelled)
      ours.insert({info(v).http_status, info(v).code, info(v).reason});
  EXPECT_EQ(ours, http_table);
}

TEST(ErrorTable, RejectReasonsAreAClosedSetWithoutOthers) {
  std::set<std::string_view> expected;
  for (const auto& [status, code, reason] : http_table)
    expected.insert(reason);
  std::set<std::string_view> ours;
  for (std::size_t i = 0; i < reject_reason_count; ++i)
    ours.insert(to_string(static_cast<reject_reason>(i)));
  EXPECT_EQ(ours, expected);
  EXPECT_EQ(ours.size(), reject_reason_count);
}

TEST(ErrorTable, EveryRefusalCountsUnderItsOwnReason) {
  for (auto v : all_values()) {
    auto r = reject_reason_of(v);
    if (v == ec::none || v == ec::cancelled)
      EXPECT_FALSE(r) << to_string(v);
    else
      EXPECT_EQ(to_string(r.value()), info(v).reason) << to_string(v);
  }
}

TEST(ErrorTable, OapReasonsAndStatusesAreThoseOfTheWire) {
  std::set<std::uint16_t> used;
  for (auto v : all_values()) {
    if (v == ec::none)
      continue;
    auto reason = info(v).oap_reason;
    ASSERT_TRUE(oap_table.contains(reason)) << to_string(v);
    EXPECT_EQ(oap_status(v), oap_table.at(reason)) << to_string(v);
    used.insert(reason);
  }
  used.insert(0x1f1); // belongs to the connection, no request ends with it
  for (const auto& [reason, status] : oap_table) {
    EXPECT_TRUE(used.contains(reason)) << std::hex << reason;
    auto back = from_oap_reason(reason);
    ASSERT_TRUE(back) << std::hex << reason;
    EXPECT_EQ(info(*back).http_status, status) << std::hex << reason;
  }
}

TEST(ErrorTable, UnknownOapReasonsAreNothing) {
  for (auto reason : {0, 1, 0xff, 0x115, 0x1ef, 0x1f2, 0xffff})
    EXPECT_FALSE(from_oap_reason(static_cast<std::uint16_t>(reason))) << reason;
}

TEST(ErrorTable, RetryableIsWhatTheWireSays) {
  std::set<std::uint16_t> retryable{0x109, 0x10a, 0x10b, 0x108, 0x112, 0x10e, 0x10d, 0x1f0};
  for (auto v : all_values())
    if (v != ec::tor_unavailable) { // arises at the caller's end: a retry would only mask it
      EXPECT_EQ(info(v).retryable, retryable.contains(info(v).oap_reason)) << to_string(v);
    }
  EXPECT_FALSE(info(ec::tor_unavailable).retryable);
}

TEST(ErrorTable, AValueOutOfRangeIsABugOfOurs) {
  auto v = static_cast<ec>(250);
  EXPECT_EQ(info(v).value, ec::internal);
  EXPECT_EQ(to_string(v), "?");
  EXPECT_EQ(reject_reason_of(v), reject_reason::internal);
}

TEST(Error, FailMakesAResultWithoutAValue) {
  auto f = []() -> result<int> { return fail(ec::busy, "no slot", 250); };
  auto r = f();
  ASSERT_FALSE(r);
  EXPECT_EQ(r.error(), (error{ec::busy, "no slot", 250}));
}

} // namespace
} // namespace ron::core
