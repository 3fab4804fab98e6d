#include "core/crypto/macaroon.hpp"

#include <gtest/gtest.h>

#include <random>

namespace {

using ron::core::byte_view;
using ron::core::crypto::macaroon;

byte_view view(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

macaroon sample() {
  auto m = macaroon::mint(view("this is the root key"), "key-1");
  EXPECT_TRUE(m.attenuate("exp = 1800000000"));
  EXPECT_TRUE(m.attenuate("ops = o.put"));
  return m;
}

// Published by the authors of libmacaroons: key, identifier, location and the resulting signature
// chain of their README; the location is a hint and is not signed.
TEST(Macaroon, SignsAsLibmacaroonsDoes) {
  auto m = macaroon::mint(view("this is our super secret key; only we should know it"),
                          "we used our secret key");
  auto text = m.encode();
  ASSERT_TRUE(text);
  EXPECT_EQ(ron::core::to_hex(view(*text).last(32)),
            "e3d9e02908526c4c0039ae15114115d97fdd68bf2ba379b342aaf0f617d0552f");
  ASSERT_TRUE(m.attenuate("account = 3735928559"));
  EXPECT_EQ(ron::core::to_hex(view(*m.encode()).last(32)),
            "1efe4763f290dbce0c1d08477367e11f4eee456a64933cf662d79772dbb82128");
}

TEST(Macaroon, RoundTripsAndVerifies) {
  auto m = sample();
  auto back = macaroon::decode(view(*m.encode()));
  ASSERT_TRUE(back) << back.error().message;
  EXPECT_EQ(back->identifier(), "key-1");
  EXPECT_EQ(back->caveats(), m.caveats());
  EXPECT_TRUE(back->verify(view("this is the root key")));
  EXPECT_FALSE(back->verify(view("this is another key!")));
}

TEST(Macaroon, NoFlippedBitVerifies) {
  auto good = *sample().encode();
  for (std::size_t i = 0; i < good.size() * 8; ++i) {
    auto bad = good;
    bad[i / 8] = static_cast<char>(bad[i / 8] ^ (1 << i % 8));
    auto m = macaroon::decode(view(bad));
    EXPECT_FALSE(m && m->verify(view("this is the root key"))) << "bit " << i;
  }
}

TEST(Macaroon, NoPrefixDecodes) {
  auto good = *sample().encode();
  for (std::size_t n = 0; n < good.size(); ++n)
    EXPECT_FALSE(macaroon::decode(view(std::string_view{good}.substr(0, n)))) << n;
  EXPECT_FALSE(macaroon::decode(view(good + "x")));
}

TEST(Macaroon, BoundsAreKept) {
  auto m = macaroon::mint(view("k"), "id");
  for (std::size_t i = 0; i < macaroon::caveats_max; ++i)
    ASSERT_TRUE(m.attenuate("rps = 1"));
  EXPECT_FALSE(m.attenuate("rps = 1"));
  auto wide = macaroon::mint(view("k"), std::string(5'000, 'x'));
  EXPECT_FALSE(wide.encode());
  std::string huge(5'000, '\2');
  EXPECT_FALSE(macaroon::decode(view(huge)));
}

TEST(Macaroon, RandomBytesNeverCrash) {
  std::mt19937_64 random{20261121};
  auto good = *sample().encode();
  for (int round = 0; round < 20'000; ++round) {
    auto bad = good;
    for (int k = 0; k < 4; ++k)
      bad[random() % bad.size()] = static_cast<char>(random());
    bad.resize(random() % (bad.size() + 1));
    (void)macaroon::decode(view(bad));
  }
}

} // namespace
