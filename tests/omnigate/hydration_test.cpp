#include "omnigate/hydration.hpp"

#include <gtest/gtest.h>

namespace {

using namespace ron::omnigate;
using ron::core::ec;
using ron::core::error;
using ron::core::json;
using legs = std::vector<leg>;

TEST(Hydration, AsksTheIndexFirstAndTheRestSideBySide) {
  hydration h{"object"};
  EXPECT_EQ(h.next(), legs{leg::index});
  EXPECT_EQ(h.next(), legs{}) << "each leg is named once";
  EXPECT_FALSE(h.done());
  h.on_ok(leg::index, {{"cid", "b3:00"}});
  EXPECT_EQ(h.next(), (legs{leg::storage, leg::mailbox}));
  h.on_ok(leg::mailbox, {{"messages", json::array()}});
  EXPECT_FALSE(h.done());
  h.on_ok(leg::storage, {{"object", {{"size", 3}}}});
  EXPECT_TRUE(h.done());
  EXPECT_TRUE(h.complete());
  auto body = *h.body();
  EXPECT_EQ(body["parts"]["storage"], "ok");
  EXPECT_EQ(body["data"]["object"]["size"], 3);
  EXPECT_EQ(body["partial"], false);
}

TEST(Hydration, ALostIndexFailsTheView) {
  hydration h{"object"};
  h.next();
  h.on_error(leg::index, error{ec::not_found, "no such name"});
  EXPECT_TRUE(h.done());
  EXPECT_TRUE(h.next().empty()) << "nothing more is asked";
  ASSERT_FALSE(h.body());
  EXPECT_EQ(h.body().error().code, ec::not_found);
}

TEST(Hydration, ALostLegMakesItPartial) {
  for (auto [code, shown] : {std::pair{ec::not_found, "missing"},
                             {ec::downstream_timeout, "timeout"},
                             {ec::busy, "busy"},
                             {ec::internal, "error"}}) {
    hydration h{"object"};
    h.next();
    h.on_ok(leg::index, json::object());
    h.next();
    h.on_error(leg::storage, error{code, "x"});
    h.on_ok(leg::mailbox, json::object());
    ASSERT_TRUE(h.done());
    auto body = *h.body();
    EXPECT_EQ(body["parts"]["storage"], shown);
    EXPECT_EQ(body["partial"], true);
    EXPECT_EQ(body["warnings"][0], std::string{"storage_"} + shown);
    EXPECT_FALSE(h.complete());
  }
}

TEST(Hydration, LateAnswersAreIgnored) {
  hydration h{"object"};
  h.on_ok(leg::storage, {{"x", 1}});
  h.next();
  h.on_error(leg::index, error{ec::downstream_timeout, "slow"});
  h.on_ok(leg::index, {{"cid", "late"}});
  EXPECT_TRUE(h.done());
  EXPECT_FALSE(h.body());
}

} // namespace
