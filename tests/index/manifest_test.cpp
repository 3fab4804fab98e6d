#include "index/manifest.hpp"

#include "core/json.hpp"

#include <gtest/gtest.h>

namespace {

using ron::core::json;
using ron::index::check_manifest;

ron::core::cid object() {
  ron::core::cid c;
  c.hash.fill(7);
  return c;
}

json good() {
  return {{"version", 1},
          {"size", 3},
          {"content_type", "text/plain; charset=utf-8"},
          {"created_at_ms", 1'700'000'000'000},
          {"title", "Three letters"},
          {"tags", {"a", "b"}}};
}

bool accepts(const json& m) {
  return check_manifest(m, object()).has_value();
}

TEST(Manifest, AcceptsV1AndFillsInTheId) {
  auto text = check_manifest(good(), object());
  ASSERT_TRUE(text) << text.error().message;
  auto m = *ron::core::parse_json(*text);
  EXPECT_EQ(m["cid"], object().to_text());
  EXPECT_EQ(m["title"], "Three letters");
  EXPECT_TRUE(accepts(m)) << "what it returns is acceptable again";
}

TEST(Manifest, RefusesWhatIsNotV1) {
  for (auto [field, value] : std::initializer_list<std::pair<const char*, json>>{
         {"version", 2},
         {"size", -1},
         {"size", "3"},
         {"content_type", "text"},
         {"content_type", "text/plain\r\nX-Evil: 1"},
         {"content_type", "/"},
         {"tags", json::array({""})},
         {"title", std::string(513, 'x')},
         {"cid", "b3:" + std::string(64, '0')},
         {"extra", 1}}) {
    auto m = good();
    m[field] = value;
    EXPECT_FALSE(accepts(m)) << field << " " << value.dump();
  }
  for (auto field : {"version", "size", "content_type", "created_at_ms"}) {
    auto m = good();
    m.erase(field);
    EXPECT_FALSE(accepts(m)) << field << " is required";
  }
  EXPECT_FALSE(accepts(json::array()));
}

} // namespace
