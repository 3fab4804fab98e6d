#pragma once

#include "mailbox/partition.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <initializer_list>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace ron::test {

using namespace mailbox;
using namespace std::chrono_literals;
using core::bytes;
using core::ec;
using core::instant;
using core::result;
using strings = std::vector<std::string>;
using statuses = std::vector<receipt_status>;

/// A partition on a clock of its own; without a store unless `bucket_of` is set.
struct Partition : ::testing::Test {
  partition_limits limits;
  std::mt19937_64 random{7};
  int ids = 0;
  std::uint64_t last_seq = 0;
  std::function<bucket(std::string_view)> bucket_of;
  instant now{1h};
  std::optional<partition> box;

  /// The id of the n-th message.
  static std::string id_of(int n) {
    auto digits = std::to_string(n);
    return "m" + std::string(8 - digits.size(), '0') + digits;
  }
  partition& p() {
    if (!box)
      box.emplace(limits,
                  partition_sources{[this] { return random(); },
                                    [this](std::int64_t) { return id_of(++ids); },
                                    [this](std::size_t n) { return (last_seq += n) - n + 1; },
                                    bucket_of});
    return *box;
  }
  outgoing mail(std::string text, std::string key = {}) {
    outgoing m;
    m.topic = "t";
    m.payload = bytes::copy(std::string_view{text});
    m.key = std::move(key);
    return m;
  }
  void send(std::string text, std::string key = {}) {
    ASSERT_TRUE(p().send(mail(std::move(text), std::move(key)), now, 0));
  }
  static outgoing_batch batch_of(std::initializer_list<std::string_view> texts,
                                 std::string idempotency_key = {}) {
    outgoing_batch b;
    b.topic = "t";
    b.idempotency_key = std::move(idempotency_key);
    for (const auto text : texts)
      b.messages.emplace_back().payload = bytes::copy(text);
    return b;
  }
  result<sent_batch> send(const outgoing_batch& b) {
    auto a = p().send(outgoing_batch{b}, now, 0);
    if (!a)
      return std::unexpected{a.error()};
    return std::move(a->answer);
  }
  std::vector<delivery> receive(std::size_t max = 10) { return p().receive("t", {max}, 5s, now); }
  strings texts(const std::vector<delivery>& ds) {
    strings out;
    for (const auto& d : ds)
      out.emplace_back(d.payload.text());
    return out;
  }
};

} // namespace ron::test
