#include "core/checksum.hpp"
#include "log_fixture.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <array>

namespace {

using namespace ron::test;

TEST(LogFormat, StepsComeBackAsTheyWere) {
  log_steps s;
  s.add(log_op::put, data, text("k"), text("value"));
  s.add(log_op::remove, other, text("gone"));
  s.add(log_op::raise, counters, text("n"), key::of(std::uint64_t{7}));
  EXPECT_EQ(s.count(), 3u);
  auto rest = s.view();
  const auto a = next_step(rest);
  const auto b = next_step(rest);
  const auto c = next_step(rest);
  ASSERT_TRUE(a && b && c);
  EXPECT_EQ(a->op, log_op::put);
  EXPECT_EQ(a->to, data);
  EXPECT_EQ(string(a->key), "k");
  EXPECT_EQ(string(a->value), "value");
  EXPECT_EQ(b->op, log_op::remove);
  EXPECT_EQ(string(b->key), "gone");
  EXPECT_TRUE(b->value.empty());
  EXPECT_EQ(load<std::uint64_t>(c->value), 7u);
  EXPECT_TRUE(rest.empty());
  EXPECT_FALSE(next_step(rest));
}

TEST(LogFormat, ARowThatIsCutShortOrNoneIsNoticed) {
  log_steps s;
  s.add(log_op::put, data, text("key"), text("value"));
  for (std::size_t n = 1; n < s.size(); ++n) {
    auto rest = s.view().first(n);
    EXPECT_FALSE(next_step(rest)) << n;
    EXPECT_EQ(rest.size(), n);
  }
  std::array<std::uint8_t, 16> none{};
  byte_view rest{none};
  EXPECT_FALSE(next_step(rest));
}

TEST(LogFormat, StepsCanBeTakenOutAgain) {
  log_steps s;
  s.add(log_op::put, data, text("a"), text("1"));
  const auto from = s.size();
  s.add(log_op::put, data, text("b"), text("2"));
  s.add(log_op::put, data, text("c"), text("3"));
  const auto to = s.size();
  s.add(log_op::put, data, text("d"), text("4"));
  s.cut(from, to);
  EXPECT_EQ(s.count(), 2u);
  model m;
  apply_to(m, s.view());
  EXPECT_EQ(m, (model{{{0, "a"}, "1"}, {{0, "d"}, "4"}}));
}

struct LogVersion : ::testing::TestWithParam<std::uint32_t> {};

TEST_P(LogVersion, ARecordIsWholeOrNone) {
  log_in_memory log;
  log.version = GetParam();
  log.begin_segment();
  log.append(text("a payload in one piece"));
  auto& image = log.segments[0];
  const auto r = decode_record(image, log_page_bytes);
  ASSERT_TRUE(r);
  EXPECT_EQ(r->lsn, 1u);
  EXPECT_EQ(r->of.id, log_in_memory::id);
  EXPECT_EQ(r->of.generation, 1u);
  EXPECT_EQ(string(r->payload), "a payload in one piece");
  for (std::size_t bit = 0; bit < 8 * (log_record_head_bytes + r->payload.size()); ++bit) {
    image[log_page_bytes + bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    EXPECT_FALSE(decode_record(image, log_page_bytes)) << "bit " << bit;
    image[log_page_bytes + bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
  for (std::size_t n = 0; n < log_page_bytes + log_record_head_bytes + r->payload.size(); ++n)
    EXPECT_FALSE(decode_record(byte_view{image}.first(n), log_page_bytes));
  EXPECT_TRUE(decode_record(image, log_page_bytes));
}

TEST(LogFormat, PiecesOfARecordCountAsOne) {
  const std::array<byte_view, 3> pieces{text("one "), text(""), text("two")};
  const byte_view whole = text("one two");
  EXPECT_EQ(encode_record_head({1, 2}, 3, pieces),
            encode_record_head({1, 2}, 3, std::span{&whole, 1}));
}

TEST_P(LogVersion, AHeadIsWholeOrNone) {
  const log_segment_head written{{1, 2}, 3};
  auto page = GetParam() == 1 ? encode_head_v1(written) : encode_head(written);
  const auto h = decode_head(page);
  ASSERT_TRUE(h);
  EXPECT_EQ(h->of.id, 1u);
  EXPECT_EQ(h->of.generation, 2u);
  EXPECT_EQ(h->first_lsn, 3u);
  for (std::size_t bit = 0; bit < 8 * 40; ++bit) {
    page[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
    EXPECT_FALSE(decode_head(page)) << "bit " << bit;
    page[bit / 8] ^= static_cast<std::uint8_t>(1u << bit % 8);
  }
  EXPECT_FALSE(decode_head(byte_view{page}.first(100)));
  EXPECT_FALSE(decode_head(log_page{}));
}

INSTANTIATE_TEST_SUITE_P(All, LogVersion, ::testing::Values(1u, 2u));

// What is on the disks of others must be found by every program after this one.
TEST(LogFormat, LiesOnDiskAsItIsDescribed) {
  constexpr std::uint64_t id = 0x0102030405060708;
  const byte_view payload = text("payload");
  const auto head = encode_head({{id, 9}, 10});
  EXPECT_EQ(to_hex(byte_view{head}.first(40)),
            "524c47530000000201020304050607080000000000000009000000000000000a"
            "ca2065e7e7536283");
  const auto record = encode_record_head({id, 9}, 10, std::span{&payload, 1});
  EXPECT_EQ(to_hex(record),
            "524c473200000007000000000000000a01020304050607080000000000000009"
            "8593949bff02cf03");
  EXPECT_EQ(to_hex(byte_view{encode_head_v1({{id, 9}, 10})}.first(40)),
            "524c47530000000101020304050607080000000000000009000000000000000a"
            "96c8bc6efdc6f178");
  EXPECT_EQ(to_hex(encode_record_head_v1({id, 9}, 10, payload)),
            "524c475200000007000000000000000a01020304050607080000000000000009"
            "71a2ec7dbb197d94");
}

TEST(LogFormat, AVersionThatIsNewerIsNotRead) {
  auto page = encode_head({{1, 2}, 3});
  std::ranges::copy(key::of(std::uint32_t{3}).view(), page.begin() + 4);
  EXPECT_FALSE(decode_head(page));
  seal_with_hash(page, {});
  EXPECT_FALSE(decode_head(page));
  const auto of_nothing = key::of(checksum({}));
  const std::array<byte_view, 2> all{byte_view{page}.first(32), of_nothing.view()};
  std::ranges::copy(key::of(checksum(all)).view(), page.begin() + 32);
  EXPECT_FALSE(decode_head(page));
}

// -- what a row of steps comes to -----------------------------------------------------------------

TEST(NetChanges, TheLastOneCountsAndWhatCameAndWentIsLeftOut) {
  log_steps s;
  s.add(log_op::fresh, data, text("kept"), text("1"));
  s.add(log_op::fresh, data, text("brief"), text("1"));
  s.add(log_op::put, data, text("old"), text("2"));
  s.add(log_op::put, other, text("kept"), text("a"));
  s.add(log_op::put, other, text("kept"), text("b"));
  s.add(log_op::remove, data, text("brief"));
  s.add(log_op::remove, data, text("old"));
  s.add(log_op::raise, counters, text("n"), key::of(std::uint64_t{9}));
  s.add(log_op::raise, counters, text("n"), key::of(std::uint64_t{4}));
  const std::array<byte_view, 1> payloads{s.view()};
  const net_changes net{payloads, true};
  ASSERT_EQ(net.all().size(), 4u);
  EXPECT_EQ(load<std::uint64_t>(net.all()[0].value), 9u);
  EXPECT_EQ(string(net.all()[1].key), "kept");
  EXPECT_EQ(string(net.all()[2].value), "b");
  EXPECT_EQ(net.all()[3].op, log_op::remove);
  EXPECT_EQ(string(net.all()[3].key), "old") << "it may be in the store";
  EXPECT_EQ((net_changes{payloads, false}.all().size()), 5u)
    << "after a crash a part of it may be there";
}

TEST(NetChanges, WhatRefersToAnotherTableFindsItAtAnyPoint) {
  log_steps s;
  s.add(log_op::put, other, text("a"), text("state"));
  s.add(log_op::put, data, text("a"), text("mail"));
  s.add(log_op::remove, data, text("b"));
  s.add(log_op::remove, other, text("b"));
  s.add(log_op::raise, counters, text("n"), key::of(std::uint64_t{1}));
  const std::array<byte_view, 1> payloads{s.view()};
  const net_changes net{payloads, true};
  std::vector<std::pair<log_op, table>> order;
  for (const auto& one : net.all())
    order.emplace_back(one.op, one.to);
  EXPECT_THAT(order, ::testing::ElementsAre(
                       std::pair{log_op::raise, counters},
                       std::pair{log_op::put, data}, std::pair{log_op::put, other},
                       std::pair{log_op::remove, other}, std::pair{log_op::remove, data}));
}

TEST(NetChanges, RandomHistoriesComeToTheSame) {
  random_steps steps{seed_of_this_run()};
  model store; // as of the last checkpoint
  for (int round = 0; round < 300; ++round) {
    std::vector<log_steps> rows;
    std::vector<byte_view> payloads;
    for (auto n = steps.dice()() % 30; n > 0; --n)
      rows.push_back(steps.next());
    for (const auto& r : rows)
      payloads.push_back(r.view());
    auto wanted = store;
    for (const auto p : payloads)
      apply_to(wanted, p);
    const bool trust = steps.dice()() % 2 == 0;
    const net_changes net{payloads, trust};
    EXPECT_EQ(net.damaged(), 0u);
    log_steps made;
    for (const auto& s : net.all())
      made.add(s.op, s.to, s.key, s.value);
    apply_to(store, made.view());
    ASSERT_EQ(store, wanted) << "round " << round;
    // A part of it, then a crash, then all of it and more from the start.
    auto part = wanted;
    apply_to(part, made.view());
    ASSERT_EQ(part, wanted);
  }
}

/// What a row comes to, the slow and simple way.
std::vector<log_step> net_of(std::span<const byte_view> payloads, bool trust_fresh) {
  std::map<std::pair<table, std::string>, std::vector<log_step>> by_key;
  for (auto p : payloads)
    while (const auto s = next_step(p))
      by_key[{s->to, string(s->key)}].push_back(*s);
  std::vector<log_step> raised, stays, removed;
  for (const auto& [at, steps] : by_key) {
    const auto& last = steps.back();
    if (last.op == log_op::raise)
      raised.push_back(*std::ranges::max_element(
        steps, {}, [](const log_step& s) { return load<std::uint64_t>(s.value); }));
    else if (last.op != log_op::remove)
      stays.push_back(last);
    else if (!trust_fresh || steps.front().op != log_op::fresh)
      removed.insert(removed.begin(), last);
  }
  raised.insert(raised.end(), stays.begin(), stays.end());
  raised.insert(raised.end(), removed.begin(), removed.end());
  return raised;
}

// Keys of several senders in turns, in order and not, equal for a while, one the start of another.
TEST(NetChanges, TheOrderIsThatOfTheKeys) {
  std::mt19937_64 dice{seed_of_this_run()};
  constexpr std::array ops{log_op::put, log_op::fresh, log_op::remove};
  for (int round = 0; round < 400; ++round) {
    const auto senders = 1 + dice() % 5;
    const auto disorder = dice() % 3; // of the steps: none, some, most
    std::uint64_t n = 0;
    std::vector<log_steps> rows(dice() % 9);
    for (auto& row : rows)
      for (auto left = dice() % 40; left > 0; --left) {
        const bool odd = disorder != 0 && dice() % (disorder == 1 ? 20 : 2) == 0;
        auto k = key::of(static_cast<std::uint16_t>(dice() % senders), odd ? dice() % 50 : ++n);
        if (odd && dice() % 2 == 0)
          k.add(text(std::string(dice() % 6, dice() % 2 == 0 ? '\0' : 'k')));
        const byte_view v = k;
        const auto shown = v.last(odd ? 1 + dice() % v.size() : v.size());
        const table in{static_cast<std::uint16_t>(odd ? dice() % 3 : 0)};
        const auto op = in == counters ? log_op::raise : odd ? ops[dice() % 3] : log_op::fresh;
        row.add(op, in, shown, key::of(dice() % 9));
      }
    std::vector<byte_view> payloads;
    for (const auto& r : rows)
      payloads.push_back(r.view());
    const bool trust = dice() % 2 == 0;
    const net_changes net{payloads, trust};
    const auto wanted = net_of(payloads, trust);
    ASSERT_EQ(net.all().size(), wanted.size()) << "round " << round;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      ASSERT_EQ(net.all()[i].op, wanted[i].op) << "round " << round << " step " << i;
      ASSERT_EQ(net.all()[i].to, wanted[i].to);
      ASSERT_EQ(string(net.all()[i].key), string(wanted[i].key));
      ASSERT_EQ(string(net.all()[i].value), string(wanted[i].value));
    }
  }
}

TEST(NetChanges, ADamagedRowIsCounted) {
  log_steps s;
  s.add(log_op::put, data, text("a"), text("1"));
  s.add(log_op::put, data, text("b"), text("2"));
  const std::array<byte_view, 2> payloads{s.view().first(s.size() - 1), s.view()};
  const net_changes net{payloads, true};
  EXPECT_EQ(net.damaged(), 1u);
  EXPECT_EQ(net.all().size(), 2u);
}

} // namespace
