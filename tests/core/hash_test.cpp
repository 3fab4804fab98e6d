#include "core/hash.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace {

using namespace ron::core;
using b3::group_bytes;

std::vector<std::uint8_t> noise(std::size_t n, std::uint64_t seed = 7) {
  std::mt19937_64 rng{seed};
  std::vector<std::uint8_t> out(n);
  for (auto& x : out)
    x = static_cast<std::uint8_t>(rng());
  return out;
}

std::string hex(const b3::digest& d) {
  return to_hex(d);
}

byte_view text(std::string_view s) {
  return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}

/// An object with its tree, as a store would keep it.
struct object {
  explicit object(std::vector<std::uint8_t> b) : data(std::move(b)) {
    b3::tree_builder tree;
    tree.feed(data);
    root = tree.finish();
    nodes = tree.take_nodes();
  }
  byte_view group(std::uint64_t i) const {
    return byte_view{data}.subspan(i * group_bytes, b3::group_size(data.size(), i));
  }
  bool verify(std::uint64_t i, byte_view v) const {
    return b3::verify_group(root, data.size(), i, v, [this](std::uint64_t n) {
      return n < nodes.size() / b3::node_bytes ? nodes.data() + n * b3::node_bytes : nullptr;
    });
  }
  bool verify(std::uint64_t i) const { return verify(i, group(i)); }
  std::uint64_t groups() const { return b3::group_count(data.size()); }

  std::vector<std::uint8_t> data;
  std::vector<std::uint8_t> nodes;
  b3::digest root;
};

std::vector<std::size_t> boundary_sizes() {
  std::vector<std::size_t> out{0, 1, 63, 64, 65, 1'023, 1'024, 1'025, 2'048, 2'049, 65'535};
  for (std::size_t groups : {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33})
    for (std::size_t extra : {0, 1, 63, 64, 1'024, 1'025, 2'048, 3'000, 65'535})
      out.push_back(groups * group_bytes + extra);
  out.push_back((9u << 20) - 17);
  return out;
}

TEST(Hash, SelfTestPasses) {
  EXPECT_TRUE(b3::self_test());
}

TEST(Hash, KnownAnswers) {
  EXPECT_EQ(hex(b3::hash({})), "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262");
  const std::uint8_t zero = 0;
  EXPECT_EQ(hex(b3::hash({&zero, 1})),
            "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213");
  EXPECT_EQ(hex(b3::hash(text("abc"))),
            "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
  EXPECT_EQ(b3::cid_of(text("abc")).to_text(),
            "b3:6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85");
}

TEST(Hash, DerivesKeysByContext) {
  // The published vector for an empty input under the published context.
  constexpr std::string_view context = "BLAKE3 2019-12-27 16:29:52 test vectors context";
  EXPECT_EQ(hex(b3::derive_key(context, {})),
            "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d");
  auto t = b3::tenant_of("alice");
  auto key = b3::derive_key("ron 2026 tenant", text("alice"));
  EXPECT_TRUE(std::equal(t.id.begin(), t.id.end(), key.begin()));
  EXPECT_NE(t, b3::tenant_of("bob"));
  EXPECT_FALSE(b3::tenant_of("").is_zero());
}

TEST(Hash, PiecesGiveTheHashOfTheWhole) {
  auto data = noise(300'000);
  std::mt19937_64 rng{11};
  b3::hasher h;
  for (std::size_t at = 0; at < data.size();) {
    auto n = std::min<std::size_t>(rng() % 70'000, data.size() - at);
    h.update(byte_view{data}.subspan(at, n));
    at += n;
  }
  EXPECT_EQ(h.finish(), b3::hash(data));
}

TEST(HashTree, RootIsTheHashAtEveryBoundary) {
  auto data = noise(9u << 20);
  for (auto n : boundary_sizes()) {
    auto part = byte_view{data}.first(n);
    b3::tree_builder tree;
    tree.feed(part);
    EXPECT_EQ(tree.size(), n);
    EXPECT_EQ(tree.finish(), b3::hash(part)) << n;
    EXPECT_EQ(tree.take_nodes().size(), b3::node_count(n) * b3::node_bytes) << n;
  }
}

TEST(HashTree, SplitsDoNotMatter) {
  constexpr std::uint64_t seed = 20'260'611;
  std::mt19937_64 rng{seed};
  auto data = noise(3u << 20, seed);
  for (int round = 0; round < 40; ++round) {
    auto n = static_cast<std::size_t>(rng() % data.size());
    auto part = byte_view{data}.first(n);
    auto largest = std::size_t{1} << (rng() % 19 + 1);
    b3::tree_builder whole;
    whole.feed(part);
    b3::tree_builder pieces;
    std::vector<std::uint8_t> nodes;
    for (std::size_t at = 0; at < n;) {
      auto step = std::min<std::size_t>(rng() % largest + 1, n - at);
      pieces.feed(part.subspan(at, step));
      auto fresh = pieces.take_nodes();
      nodes.insert(nodes.end(), fresh.begin(), fresh.end());
      at += step;
    }
    ASSERT_EQ(pieces.finish(), whole.finish()) << "seed " << seed << " size " << n;
    auto fresh = pieces.take_nodes();
    nodes.insert(nodes.end(), fresh.begin(), fresh.end());
    ASSERT_EQ(nodes, whole.take_nodes()) << "seed " << seed << " size " << n;
  }
}

TEST(HashTree, PathsVisitEveryNodeOnceFromEachSide) {
  for (std::uint64_t groups = 1; groups <= 130; ++groups) {
    std::vector<int> left(groups), right(groups);
    for (std::uint64_t g = 0; g < groups; ++g) {
      auto path = b3::path_of(g, groups);
      for (auto step : path.view()) {
        ASSERT_LT(step.index, groups - 1);
        ++(step.right ? right : left)[step.index];
      }
      if (groups > 1) {
        EXPECT_EQ(path.view().back().index, groups - 2) << "the root is last";
      }
    }
    for (std::uint64_t i = 0; i + 1 < groups; ++i)
      EXPECT_TRUE(left[i] > 0 && right[i] > 0 && left[i] >= right[i]) << groups << ' ' << i;
  }
}

TEST(HashTree, EveryGroupVerifies) {
  auto data = noise(40 * group_bytes);
  for (auto n : boundary_sizes()) {
    if (n > data.size())
      continue;
    object o{{data.begin(), data.begin() + static_cast<std::ptrdiff_t>(n)}};
    for (std::uint64_t g = 0; g < o.groups(); ++g)
      ASSERT_TRUE(o.verify(g)) << n << " group " << g;
    EXPECT_FALSE(o.verify(o.groups(), {})) << n;
  }
}

TEST(HashTree, NoticesEveryFlippedByteOfAGroup) {
  object o{noise(2 * group_bytes + 777)};
  std::mt19937_64 rng{3};
  for (std::uint64_t g = 0; g < o.groups(); ++g) {
    auto v = o.group(g);
    std::vector<std::uint8_t> copy{v.begin(), v.end()};
    for (int i = 0; i < 300; ++i) {
      auto at = i == 0 ? 0 : i == 1 ? copy.size() - 1 : rng() % copy.size();
      auto bit = static_cast<std::uint8_t>(1u << rng() % 8);
      copy[at] ^= bit;
      ASSERT_FALSE(o.verify(g, copy)) << g << " byte " << at;
      copy[at] ^= bit;
    }
    ASSERT_TRUE(o.verify(g, copy));
  }
}

TEST(HashTree, NoticesEveryFlippedByteOfTheOutboard) {
  object o{noise(6 * group_bytes + 5)};
  auto groups = o.groups();
  for (std::size_t at = 0; at < o.nodes.size(); ++at) {
    o.nodes[at] ^= 0x10;
    for (std::uint64_t g = 0; g < groups; ++g) {
      auto path = b3::path_of(g, groups);
      bool above = std::ranges::any_of(
        path.view(), [&](auto step) { return step.index == at / b3::node_bytes; });
      ASSERT_EQ(o.verify(g), !above) << "byte " << at << " group " << g;
    }
    o.nodes[at] ^= 0x10;
  }
}

TEST(HashTree, RefusesAnotherPlaceSizeOrALostNode) {
  object o{noise(5 * group_bytes)};
  EXPECT_FALSE(o.verify(0, o.group(1)));
  EXPECT_FALSE(o.verify(1, o.group(0)));
  EXPECT_FALSE(o.verify(0, o.group(0).first(group_bytes - 1)));
  auto missing = [](std::uint64_t) -> const std::uint8_t* { return nullptr; };
  EXPECT_FALSE(b3::verify_group(o.root, o.data.size(), 0, o.group(0), missing));
  auto reader = [&](std::uint64_t n) { return o.nodes.data() + n * b3::node_bytes; };
  EXPECT_TRUE(b3::verify_group(o.root, o.data.size(), 0, o.group(0), reader));
  // A size that gives the same number of groups but another last one.
  EXPECT_FALSE(b3::verify_group(o.root, o.data.size() - 1, 4, o.group(4), reader));
  EXPECT_FALSE(b3::verify_group(o.root, 4 * group_bytes, 0, o.group(0), reader));
}

TEST(HashTree, ANodeThatWasVerifiedTakesThePlaceOfTheRoot) {
  for (std::size_t groups : {2, 3, 7, 8, 33}) {
    object o{noise(groups * group_bytes - 100)};
    for (std::uint64_t g = 0; g < groups; ++g) {
      const auto path = b3::path_of(g, groups);
      std::vector<std::uint8_t> nodes;
      auto check = [&](bool top_verified, byte_view data) {
        return b3::verify_group(o.root, o.data.size(), g, data,
                                b3::nodes_above{path, nodes, top_verified});
      };
      EXPECT_FALSE(check(false, o.group(g))) << "without nodes";
      EXPECT_FALSE(check(true, o.group(g))) << "without nodes";
      std::vector<std::uint8_t> other(o.group(g).begin(), o.group(g).end());
      other[other.size() / 2] ^= 1;
      for (const auto& step : path.view()) {
        const auto* node = o.nodes.data() + step.index * b3::node_bytes;
        nodes.insert(nodes.end(), node, node + b3::node_bytes);
        const bool all = nodes.size() == path.size * b3::node_bytes;
        ASSERT_TRUE(check(true, o.group(g)));
        ASSERT_EQ(check(false, o.group(g)), all);
        ASSERT_FALSE(check(true, other));
        ASSERT_FALSE(check(false, other));
        for (std::size_t at = 0; at < nodes.size(); at += 7) {
          nodes[at] ^= 4;
          // Nothing is said of the other child of a node that was verified before.
          const auto mine = nodes.size() - b3::node_bytes + (step.right ? 32 : 0);
          ASSERT_EQ(check(true, o.group(g)), at >= nodes.size() - b3::node_bytes
                                               && (at < mine || at >= mine + 32));
          ASSERT_FALSE(check(false, o.group(g)));
          nodes[at] ^= 4;
        }
      }
      nodes.insert(nodes.end(), b3::node_bytes, 0);
      ASSERT_FALSE(check(true, o.group(g))) << "more nodes than the path has";
    }
  }
}

} // namespace
