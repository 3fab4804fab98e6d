#include "omnigate/capability.hpp"

#include "core/crypto/macaroon.hpp"

#include <gtest/gtest.h>

#include <array>

namespace {

using namespace ron::omnigate;
using namespace std::chrono_literals;
using ron::core::byte_view;
using ron::core::ec;
using ron::core::crypto::macaroon;

constexpr std::int64_t now = 1'800'000'000'000;

byte_view view(const std::string& s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

ec check(const operator_capability& node, const std::string& token, std::int64_t at = now,
         std::string_view op = "o.put") {
  auto r = node.verify(view(token), {op, at});
  return r ? ec::none : r.error().code;
}

std::string with(const std::string& token, std::string caveat) {
  auto m = *macaroon::decode(view(token));
  EXPECT_TRUE(m.attenuate(std::move(caveat)));
  return *m.encode();
}

TEST(Capability, AFreshTokenIsTheOperatorUntilItExpires) {
  operator_capability node;
  auto token = node.mint(now, 1h);
  EXPECT_EQ(check(node, token), ec::none);
  EXPECT_EQ(check(node, token, now + 3'599'999), ec::none);
  EXPECT_EQ(check(node, token, now + 3'600'000), ec::unauth) << "exact";
}

TEST(Capability, AnotherNodesTokenIsNothing) {
  operator_capability node;
  operator_capability other;
  EXPECT_EQ(check(node, other.mint(now, 1h)), ec::unauth);
  EXPECT_EQ(check(node, ""), ec::unauth);
  EXPECT_EQ(check(node, "no token"), ec::unauth);
}

TEST(Capability, NodesWithOneRootKeyTakeEachOthersTokens) {
  operator_capability node;
  operator_capability peer;
  std::array<std::uint8_t, 32> key{};
  key.fill(7);
  node.use_root_key(key);
  EXPECT_EQ(check(node, peer.mint(now, 1h)), ec::unauth);
  peer.use_root_key(key);
  const auto token = peer.mint(now, 1h, "o.replica,o.get");
  EXPECT_EQ(check(node, token, now, "o.replica"), ec::none);
  EXPECT_EQ(check(node, token, now, "o.put"), ec::forbidden);
  EXPECT_EQ(check(node, token, now + 3'600'000, "o.replica"), ec::unauth);
  key.fill(8);
  peer.use_root_key(key);
  EXPECT_EQ(check(node, peer.mint(now, 1h)), ec::unauth);
}

TEST(Capability, AnybodyCanNarrowItOffline) {
  operator_capability node;
  auto token = with(node.mint(now, 1h), "ops = o.get,o.put");
  EXPECT_EQ(check(node, token), ec::none);
  EXPECT_EQ(check(node, token, now, "name.put"), ec::forbidden);
  EXPECT_EQ(check(node, with(token, "ops = o.get")), ec::forbidden) << "all caveats must hold";
  EXPECT_EQ(check(node, with(token, "exp = 1")), ec::unauth);
  EXPECT_EQ(check(node, with(token, "ops = o.put"), now + 7'200'000, "name.put"), ec::unauth)
    << "expired wins over forbidden";
}

TEST(Capability, NotBeforeHasALeeway) {
  operator_capability node;
  auto token = with(node.mint(now, 1h), "nbf = 1800000030");
  EXPECT_EQ(check(node, token), ec::none);
  EXPECT_EQ(check(node, token, now - 30'001), ec::unauth);
}

TEST(Capability, UnknownCaveatsFailClosed) {
  operator_capability node;
  for (auto caveat : {"colour = red", "exp", "exp = soon", "exp=1900000000", "ops", ""})
    EXPECT_NE(check(node, with(node.mint(now, 1h), caveat)), ec::none) << caveat;
}

TEST(Capability, ARememberedTokenIsLookedAtAnewWithEachUse) {
  operator_capability node;
  const auto token = with(node.mint(now, 1h), "ops = o.get");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(check(node, token, now, "o.get"), ec::none);
    EXPECT_EQ(check(node, token, now, "o.put"), ec::forbidden);
    EXPECT_EQ(check(node, token, now + 3'600'000, "o.get"), ec::unauth);
  }
  auto forged = token;
  forged.back() = static_cast<char>(forged.back() ^ 1);
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(check(node, forged, now, "o.get"), ec::unauth) << "only what was good is remembered";
}

TEST(ProvenTokens, KeepAsManyAsThereArePlaces) {
  proven_tokens proven;
  auto digest = [](std::uint8_t place, std::uint8_t which) {
    ron::core::b3::digest d{};
    d[0] = place;
    d[1] = which;
    return d;
  };
  const auto caveats = std::make_shared<const std::vector<std::string>>();
  for (unsigned i = 0; i < proven_tokens::places; ++i)
    proven.remember(digest(static_cast<std::uint8_t>(i), 1), caveats);
  for (unsigned i = 0; i < proven_tokens::places; ++i)
    EXPECT_EQ(proven.find(digest(static_cast<std::uint8_t>(i), 1)), caveats);
  EXPECT_EQ(proven.find(digest(3, 2)), nullptr);
  proven.remember(digest(3, 2), caveats);
  EXPECT_EQ(proven.find(digest(3, 2)), caveats);
  EXPECT_EQ(proven.find(digest(3, 1)), nullptr) << "a newcomer takes the place";
}

} // namespace
