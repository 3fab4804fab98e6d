#include "omnigate/gate.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace {

using namespace ron::omnigate;
using namespace std::chrono_literals;
using ron::core::ec;
using ron::core::result;
using ron::transport::access;
using ron::transport::admission;
using ron::transport::call;
using ron::transport::operation;

struct Gate : ::testing::Test {
  gate_limits limits;
  ron::core::manual_clock clock;
  std::shared_ptr<operator_capability> capability = std::make_shared<operator_capability>();
  std::optional<gate> gate_;
  operation read{.name = "o.get", .needs = access::read};
  operation write{.name = "o.put", .needs = access::write};
  operation ping{.name = "ping", .needs = access::none};
  operation poll{.name = "mb.recv", .needs = access::read, .waits = true};

  gate& g() {
    if (!gate_)
      gate_.emplace(limits, capability, clock);
    return *gate_;
  }
  call make(const operation& op, std::string peer = "127.0.0.1:1", std::string token = {}) {
    call c;
    c.op = &op;
    c.peer = std::move(peer);
    c.capability = ron::core::bytes::copy(std::string_view{token});
    c.started = clock.now();
    return c;
  }
  result<admission> admit(const call& c) {
    result<admission> out = ron::core::fail(ec::internal, "not called");
    g().admit(c, [&](auto r) { out = std::move(r); });
    return out;
  }
  ec code(const call& c) {
    auto r = admit(c);
    return r ? ec::none : r.error().code;
  }
  std::string token() { return capability->mint(clock.wall_ms(), 1h); }
};

TEST_F(Gate, OtherLimitsHoldFromTheNextRequestOn) {
  limits = {.inflight_max = 2, .instance = {}, .address = {1, 1}};
  EXPECT_EQ(code(make(read)), ec::none);
  EXPECT_EQ(code(make(read)), ec::quota);
  limits.address = {};
  g().set_limits(limits);
  std::vector<result<admission>> held;
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(held.emplace_back(admit(make(read))));
  EXPECT_EQ(code(make(read)), ec::busy);
  limits.inflight_max = 3;
  g().set_limits(limits);
  EXPECT_EQ(code(make(read)), ec::none);
  limits.inflight_max = 1;
  g().set_limits(limits);
  held.pop_back();
  EXPECT_EQ(code(make(read)), ec::busy) << "the one that is left has the only place";
  held.clear();
  limits.instance = {1, 1};
  g().set_limits(limits);
  EXPECT_EQ(code(make(read)), ec::none);
  EXPECT_EQ(code(make(read)), ec::quota);
  limits.instance = {};
  limits.public_read = false;
  g().set_limits(limits);
  EXPECT_EQ(code(make(read)), ec::unauth);
}

TEST_F(Gate, WritesNeedACapabilityReadsMayBeOpen) {
  EXPECT_EQ(code(make(read)), ec::none);
  EXPECT_EQ(code(make(write)), ec::unauth);
  EXPECT_EQ(code(make(write, "127.0.0.1:1", token())), ec::none);
  EXPECT_EQ(code(make(write, "127.0.0.1:1", "forged")), ec::unauth);
  EXPECT_EQ(code(make(read, "127.0.0.1:1", "forged")), ec::unauth) << "a bad token is no nothing";
}

TEST_F(Gate, ReadsAreClosedWithoutPublicRead) {
  limits.public_read = false;
  EXPECT_EQ(code(make(read)), ec::unauth);
  EXPECT_EQ(code(make(read, "127.0.0.1:1", token())), ec::none);
}

TEST_F(Gate, TheAddressRateIsPerAddress) {
  limits.address = {10, 2};
  EXPECT_EQ(code(make(read, "10.0.0.1:1")), ec::none);
  EXPECT_EQ(code(make(read, "10.0.0.1:2")), ec::none);
  auto refused = admit(make(read, "10.0.0.1:3"));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::quota);
  EXPECT_EQ(refused.error().retry_after_ms, 101u);
  EXPECT_EQ(code(make(read, "10.0.0.2:1")), ec::none);
  clock.advance(100ms);
  EXPECT_EQ(code(make(read, "10.0.0.1:4")), ec::none);
}

TEST_F(Gate, BehindTorACapabilityHasItsOwnBucketAndTheRestShareOne) {
  limits.address = {1, 2};
  limits.tenant = {1, 3};
  auto through_tor = [this](std::string with) {
    auto c = make(read, "tor", std::move(with));
    c.via = ron::transport::wire::oap_tor;
    return code(c);
  };
  EXPECT_EQ(through_tor({}), ec::none);
  EXPECT_EQ(through_tor("forged"), ec::unauth) << "guessing costs what asking costs";
  EXPECT_EQ(through_tor({}), ec::quota);
  EXPECT_EQ(through_tor("forged"), ec::quota);
  EXPECT_EQ(code(make(read, "127.0.0.1:1")), ec::none) << "loopback is nobody's accomplice";
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(through_tor(token()), ec::none);
  EXPECT_EQ(through_tor(token()), ec::quota) << "nobody is local there";
  for (int i = 0; i < 10; ++i)
    EXPECT_EQ(code(make(read, "127.0.0.1:1", token())), ec::none);
}

TEST_F(Gate, TheDefaultInstanceRateIs500ASecondWithABurstOf1000) {
  limits.address = {};
  std::uint32_t admitted = 0;
  for (int i = 0; i < 1'500; ++i)
    admitted += code(make(read)) == ec::none;
  EXPECT_EQ(admitted, 1'000u);
  clock.advance(1s);
  admitted = 0;
  for (int i = 0; i < 1'500; ++i)
    admitted += code(make(read)) == ec::none;
  EXPECT_EQ(admitted, 500u);
}

TEST_F(Gate, TheOperatorPassesNoRateButTakesASlot) {
  limits.instance = {1, 1};
  limits.address = {1, 1};
  limits.inflight_max = 5;
  std::vector<admission> held;
  for (int i = 0; i < 5; ++i) {
    auto a = admit(make(write, "127.0.0.1:1", token()));
    ASSERT_TRUE(a);
    held.push_back(std::move(*a));
  }
  EXPECT_EQ(code(make(write, "127.0.0.1:1", token())), ec::busy);
  EXPECT_TRUE(g().take_shed());
  EXPECT_FALSE(g().take_shed());
  EXPECT_EQ(g().pressure(), 1.0);
  held.pop_back();
  EXPECT_EQ(code(make(write, "127.0.0.1:1", token())), ec::none);
}

TEST_F(Gate, GuessingTokensIsCountedAsTheAddress) {
  limits.address = {1, 3};
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(code(make(write, "10.0.0.1:1", "forged")), ec::unauth);
  EXPECT_EQ(code(make(write, "10.0.0.1:1", "forged")), ec::quota);
}

TEST_F(Gate, LongPollsHaveSlotsOfTheirOwn) {
  limits.inflight_max = 1;
  limits.waiters_max = 1;
  auto a = admit(make(poll));
  auto b = admit(make(read));
  EXPECT_TRUE(a && b);
  EXPECT_EQ(code(make(poll)), ec::busy);
  limits.waiters_max = 2;
  g().set_limits(limits);
  EXPECT_EQ(code(make(poll)), ec::none);
}

TEST_F(Gate, DrainingAndDegraded) {
  g().degrade("mailbox_store");
  EXPECT_EQ(code(make(read)), ec::none);
  const auto refused = admit(make(write, "127.0.0.1:1", token()));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ec::degraded);
  EXPECT_NE(refused.error().message.find("mailbox_store"), std::string::npos);
  g().recover();
  EXPECT_EQ(code(make(write, "127.0.0.1:1", token())), ec::none);
  g().drain();
  EXPECT_EQ(code(make(read)), ec::draining);
  EXPECT_EQ(code(make(ping)), ec::none) << "operations endpoints answer until the end";
}

} // namespace
