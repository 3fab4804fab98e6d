#pragma once

#include "mailbox_fixture.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <random>
#include <string_view>

namespace ron::test {

using core::bytes;

/// A partition on a journal. `restart` is what a crash leaves: what was committed.
struct Journal : ::testing::Test {
  test_folder folder;
  core::manual_clock clock;
  set_faults injected;
  std::unique_ptr<journal> store;
  std::optional<partition> box;
  partition_limits limits;
  std::mt19937_64 random{7};
  std::uint64_t last_seq = 0;
  int ids = 0;

  Journal() { restart(); }

  /// The id of the n-th message.
  static std::string id_of(int n) {
    auto digits = std::to_string(n);
    return "m" + std::string(8 - digits.size(), '0') + digits;
  }
  void restart() {
    box.reset();
    store.reset();
    store = open_journal(folder, clock, &injected);
    last_seq = store->last_seq();
    box.emplace(limits, partition_sources{[this] { return random(); },
                                          [this](std::int64_t) { return id_of(++ids); },
                                          [this](std::size_t n) { return (last_seq += n) - n + 1; },
                                          [this](std::string_view t) {
                                            return store->bucket_of(t);
                                          }});
    load(*store, {}, *box);
    keep();
  }
  void keep() {
    auto ok = write(*store, box->take_changes());
    ASSERT_TRUE(ok) << ok.error().message;
  }
  outgoing mail(std::string text, std::string key = {}, std::string topic = "t") {
    outgoing m;
    m.topic = std::move(topic);
    m.payload = bytes::copy(std::string_view{text});
    m.key = std::move(key);
    return m;
  }
  result<sent> send(outgoing m) {
    auto a = box->send(std::move(m), clock.now(), clock.wall_ms());
    if (!a)
      return std::unexpected{a.error()};
    if (a->unconfirmed == 0)
      return a->answer;
    auto ok = write(*store, box->take_changes());
    if (!ok) {
      box->cancel(*a);
      return std::unexpected{ok.error()};
    }
    box->confirm(*a, clock.now());
    return a->answer;
  }
  static outgoing_batch batch_of(std::initializer_list<std::string_view> texts,
                                 std::string idempotency_key = {}) {
    outgoing_batch b;
    b.topic = "t";
    b.idempotency_key = std::move(idempotency_key);
    for (const auto text : texts) {
      auto& m = b.messages.emplace_back();
      m.payload = bytes::copy(text);
      m.body_hash[0] = static_cast<std::uint8_t>(text[0]);
    }
    return b;
  }
  /// As the role does it: one entry.
  result<sent_batch> send_batch(outgoing_batch b) {
    auto a = box->send(std::move(b), clock.now(), clock.wall_ms());
    if (!a)
      return std::unexpected{a.error()};
    if (a->unconfirmed == 0)
      return a->answer;
    if (auto ok = write(*store, box->take_changes()); !ok) {
      box->cancel(*a);
      return std::unexpected{ok.error()};
    }
    box->confirm(*a, clock.now());
    return a->answer;
  }
  static std::size_t duplicates(const sent_batch& b) {
    return static_cast<std::size_t>(std::ranges::count(b.messages, true, &sent::duplicate));
  }
  std::vector<delivery> receive(std::size_t max = 100) {
    auto out = box->receive("t", {max}, 5s, clock.now());
    keep();
    return out;
  }
  std::vector<receipt_status> ack(std::string receipt) {
    auto out = box->ack("t", {receipt}, clock.now());
    keep();
    return out;
  }
  std::vector<receipt_status> nack(std::string receipt) {
    auto out = box->nack("t", {receipt}, clock.now());
    keep();
    return out;
  }
  std::vector<std::string> texts(const std::vector<delivery>& ds) {
    std::vector<std::string> out;
    for (const auto& d : ds)
      out.emplace_back(d.payload.text());
    return out;
  }
};

} // namespace ron::test
