#include "store_fixture.hpp"

#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <map>
#include <random>
#include <vector>

/// Many changes of a table in a row.
namespace {

using namespace ron::test;

struct TableWriter : StoreFixture {
  using model = std::map<std::string, std::string>;

  static result<void> put(table_writer& to, std::string_view k, std::string_view v) {
    auto room = to.put(text(k), v.size());
    if (!room)
      return std::unexpected{room.error()};
    std::ranges::copy(text(v), room->begin());
    return {};
  }
  model all(table t = data) {
    model out;
    auto view = env->wait_and_read();
    auto c = view->scan(t);
    for (bool there = c.first(); there; there = c.next())
      out[string(c.key())] = string(c.value());
    EXPECT_TRUE(c.status());
    EXPECT_EQ(view->entries(t), out.size());
    return out;
  }
};

TEST_F(TableWriter, PutsReplacesAndRemoves) {
  open();
  ASSERT_TRUE(write([](transaction& t) -> result<void> {
    table_writer to{t, data};
    EXPECT_EQ(to.of(), data);
    for (auto [k, v] : {std::pair{"a", "1"}, {"b", "2"}, {"c", ""}, {"b", "two"}})
      if (auto ok = put(to, k, v); !ok)
        return ok;
    EXPECT_EQ(to.del(text("z")).error().code, ec::not_found);
    return to.del(text("a"));
  }));
  EXPECT_EQ(all(), (model{{"b", "two"}, {"c", ""}}));
  EXPECT_TRUE(all(other).empty());
}

TEST_F(TableWriter, WhatChangesNothingNeedsNoCommit) {
  open();
  const auto commits = log->stats().commits;
  EXPECT_FALSE(write([](transaction& t) {
    const auto r = table_writer{t, data}.del(text("a"));
    EXPECT_FALSE(t.touched());
    return r;
  }));
  EXPECT_EQ(log->stats().commits, commits);
  EXPECT_EQ(log->stats().replays, 0u);
}

TEST_F(TableWriter, AFailedJobLeavesNothingOfIt) {
  open();
  EXPECT_FALSE(write([](transaction& t) -> result<void> {
    table_writer to{t, data};
    EXPECT_TRUE(put(to, "a", "1"));
    EXPECT_TRUE(t.touched());
    return fail(ec::internal, "second thoughts");
  }));
  EXPECT_TRUE(all().empty());
  ASSERT_TRUE(write([](transaction& t) {
    table_writer to{t, data};
    return put(to, "b", "2");
  }));
  EXPECT_EQ(all(), (model{{"b", "2"}}));
}

TEST_F(TableWriter, AFullMapAndABadKeyAreErrors) {
  auto small = options();
  small.map_bytes = 256u << 10;
  open(small);
  const auto full = write([](transaction& t) -> result<void> {
    table_writer to{t, data};
    for (int i = 0; i < 1'000; ++i)
      if (auto ok = put(to, std::to_string(i), std::string(3'000, 'x')); !ok)
        return ok;
    return {};
  });
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ec::store_quota);
  EXPECT_FALSE(write([](transaction& t) {
    table_writer to{t, data};
    return put(to, "", "v");
  }));
  EXPECT_FALSE(write([](transaction& t) {
    table_writer to{t, data};
    return put(to, std::string(key_bytes_max + 1, 'k'), "v");
  }));
  EXPECT_TRUE(all().empty());
  EXPECT_TRUE(write([](transaction& t) {
    table_writer to{t, data};
    return put(to, "a", "1");
  }));
}

// Any row of changes, in any order, by a writer or past it, of values of any size.
TEST_F(TableWriter, RandomRowsMakeWhatSingleChangesWouldMake) {
  const char* given = std::getenv("SEED"); // to replay
  const auto seed = given != nullptr ? std::strtoull(given, nullptr, 10) : std::random_device{}();
  std::cout << "SEED=" << seed << std::endl;
  std::mt19937_64 dice{seed};
  open();
  model wanted;
  auto key_of = [](std::uint64_t n) { return string(key::of(static_cast<std::uint16_t>(n))); };
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> keys;
    for (auto n = dice() % 300; n > 0; --n)
      keys.push_back(key_of(dice() % 2'000));
    switch (dice() % 3) {
    case 0:
      std::ranges::sort(keys);
      break;
    case 1:
      std::ranges::sort(keys, std::ranges::greater{});
      break;
    default:
      break;
    }
    const auto bias = dice() % 5; // rounds that mostly remove, too
    ASSERT_TRUE(write([&](transaction& t) -> result<void> {
      table_writer to{t, data};
      for (const auto& k : keys) {
        result<void> ok;
        if (dice() % 5 < bias) {
          const auto gone = to.del(text(k));
          EXPECT_EQ(gone.has_value(), wanted.erase(k) == 1);
        } else {
          const auto size = dice() % 10 == 0 ? dice() % 9'000 : dice() % 400;
          wanted[k] = std::string(size, static_cast<char>('a' + dice() % 26));
          ok = dice() % 20 == 0 ? t.put(data, text(k), text(wanted[k])) : put(to, k, wanted[k]);
        }
        if (!ok)
          return ok;
      }
      return {};
    }));
    ASSERT_EQ(all(), wanted) << "round " << round;
  }
}

} // namespace
