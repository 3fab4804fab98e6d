#include "tor/splits.hpp"
#include "transport/tor/socks5.hpp"

#include <gtest/gtest.h>

#include <string>

namespace ron::transport::tor {
namespace {

using namespace std::string_literals;

const std::string host = std::string(56, 'a') + ".onion";

socks5_dial dial(std::string isolation = "tenant 1") {
  return *socks5_dial::make({host, 9443, std::move(isolation)});
}

std::size_t feed(socks5_dial& d, std::string_view s) {
  return d.on_bytes(view_of(s));
}

// What the server says, in order: it takes user and password, lets us in, connects.
const std::string method = "\5\2"s;
const std::string welcome = "\1\0"s;
const std::string granted = "\5\0\0\1\0\0\0\0\0\0"s;

TEST(Socks5, SpeaksTheRfcs) {
  auto d = dial("t1");
  EXPECT_EQ(d.take_output(), "\5\1\2"s);
  EXPECT_EQ(d.take_output(), "");
  EXPECT_EQ(feed(d, method), 2u);
  EXPECT_EQ(d.take_output(), "\1\2t1\1x"s);
  EXPECT_EQ(feed(d, welcome), 2u);
  EXPECT_EQ(d.take_output(), "\5\1\0\3"s + static_cast<char>(host.size()) + host + "\x24\xe3");
  EXPECT_FALSE(d.is_open());
  EXPECT_EQ(feed(d, granted), granted.size());
  EXPECT_TRUE(d.is_open());
  EXPECT_FALSE(d.failure());
}

TEST(Socks5, WithoutIsolationOffersNoPassword) {
  auto d = dial("");
  EXPECT_EQ(d.take_output(), "\5\1\0"s);
  feed(d, "\5\0"s);
  EXPECT_TRUE(d.take_output().starts_with("\5\1\0\3"s));
  feed(d, granted);
  EXPECT_TRUE(d.is_open());
}

TEST(Socks5, EverySplitGivesTheSameAndLeavesTheTunnelsBytes) {
  const std::string v6 = "\5\0\0\4"s + std::string(16, 'x') + "pp";
  const std::string name = "\5\0\0\3\4nameqq"s;
  const std::string longest = "\5\0\0\3\xff"s + std::string(255, 'n') + "qq";
  for (const auto& reply : {granted, v6, name, longest, "\5\0\0\3\0qq"s}) {
    const auto all = method + welcome + reply + "tunnel";
    for_every_split(all, [&](const auto& pieces) {
      auto d = dial();
      std::size_t used = 0;
      for (const auto piece : pieces) {
        used += feed(d, piece);
        d.take_output();
      }
      EXPECT_TRUE(d.is_open());
      EXPECT_EQ(used, all.size() - 6);
    });
  }
}

TEST(Socks5, EveryReplyCodeHasItsTypedReason) {
  const std::pair<int, trouble> codes[] = {
    {0x01, trouble::failed},
    {0x02, trouble::not_allowed},
    {0x03, trouble::network_unreachable},
    {0x04, trouble::host_unreachable},
    {0x05, trouble::refused},
    {0x06, trouble::ttl_expired},
    {0x07, trouble::command_not_supported},
    {0x08, trouble::address_not_supported},
    {0xf0, trouble::onion_not_found},
    {0xf1, trouble::onion_invalid},
    {0xf2, trouble::onion_intro_failed},
    {0xf3, trouble::onion_rend_failed},
    {0xf4, trouble::onion_auth_missing},
    {0xf5, trouble::onion_auth_wrong},
    {0xf6, trouble::onion_bad_address},
    {0xf7, trouble::onion_intro_timeout},
    {0x09, trouble::protocol},
    {0xef, trouble::protocol},
    {0xf8, trouble::protocol},
    {0xff, trouble::protocol},
  };
  for (const auto& [code, why] : codes) {
    auto d = dial();
    feed(d, method + welcome);
    d.take_output();
    EXPECT_EQ(feed(d, "\5"s + static_cast<char>(code)), 2u) << code;
    ASSERT_TRUE(d.failure()) << code;
    EXPECT_EQ(d.failure()->why, why) << code;
    EXPECT_EQ(d.take_output(), "") << code;
    EXPECT_EQ(feed(d, granted), 0u) << code;
    const auto e = to_error(*d.failure());
    EXPECT_EQ(e.code, core::ec::tor_unavailable);
    EXPECT_TRUE(e.message.starts_with("TorUnavailable (" + std::string{to_string(why)} + ")"));
    EXPECT_NE(e.message.find(host), e.message.npos);
  }
}

TEST(Socks5, WhatIsNoSocksServerIsFoundOutWithItsSecondByte) {
  const std::pair<std::string, trouble> answers[] = {
    {"HT", trouble::protocol},      // HTTP
    {"\4\132"s, trouble::protocol}, // SOCKS 4
    {"\5\0"s, trouble::protocol},   // not what was offered: isolation would be lost
    {"\5\1"s, trouble::protocol},
    {"\5\xff"s, trouble::not_allowed},
    {method + "\5\0"s, trouble::protocol},
    {method + "\1\1"s, trouble::not_allowed},
    {method + welcome + "\4\0"s, trouble::protocol},
    {method + welcome + "\5\0\0\2\0\0\0"s, trouble::protocol},
  };
  for (const auto& [bytes, why] : answers) {
    for_every_split(bytes, [&](const auto& pieces) {
      auto d = dial();
      for (const auto piece : pieces)
        feed(d, piece);
      ASSERT_TRUE(d.failure());
      EXPECT_EQ(d.failure()->why, why);
    });
  }
}

TEST(Socks5, AnEndBeforeTheTunnelIsAFailureAndBehindItIsNot) {
  const auto all = method + welcome + granted;
  for (std::size_t n = 0; n <= all.size(); ++n) {
    auto d = dial();
    feed(d, std::string_view{all}.substr(0, n));
    d.on_eof();
    EXPECT_EQ(d.is_open(), n == all.size());
    if (n < all.size()) {
      EXPECT_EQ(d.failure()->why, trouble::lost);
    }
  }
}

TEST(Socks5, RefusesWhatDoesNotFit) {
  EXPECT_FALSE(socks5_dial::make({"", 1, ""}));
  EXPECT_FALSE(socks5_dial::make({std::string(256, 'a'), 1, ""}));
  EXPECT_FALSE(socks5_dial::make({"a\0b"s, 1, ""}));
  EXPECT_FALSE(socks5_dial::make({"a", 0, ""}));
  EXPECT_FALSE(socks5_dial::make({"a", 1, std::string(256, 'a')}));
  auto d = socks5_dial::make({std::string(255, 'a'), 65'535, std::string(255, 'i')});
  ASSERT_TRUE(d);
  feed(*d, method + welcome);
  EXPECT_EQ(d->take_output().size(), 3u + 3 + 255 + 1 + 5 + 255 + 2);
}

TEST(Tor, EveryTroubleHasANameAndAdvice) {
  for (std::size_t i = 0; i < trouble_count; ++i) {
    EXPECT_FALSE(to_string(static_cast<trouble>(i)).empty()) << i;
    EXPECT_FALSE(advice(static_cast<trouble>(i)).empty()) << i;
  }
  EXPECT_EQ(printable("a\n\x1b[1m\xff" + std::string(500, 'b')).substr(0, 7), "a??[1m?");
  EXPECT_EQ(printable(std::string(500, 'b')).size(), 160u);
}

} // namespace
} // namespace ron::transport::tor
