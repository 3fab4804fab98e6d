#include "oap/vectors.hpp"

#include "oap/reader.hpp"
#include "oap/session.hpp"
#include "oap/writer.hpp"

#include <gtest/gtest.h>

namespace ron::oap::test {
namespace {

std::string told(const read_result& r) {
  if (r.is == read_status::need_more)
    return "need_more";
  if (r.is == read_status::frame)
    return std::string{to_string(r.kind)};
  return std::string{to_string(info(r.why).bucket)} + "/"
         + std::to_string(static_cast<int>(r.why));
}

core::byte_view view(const wire& w) {
  return w;
}

TEST(OapVectors, AreAllThere) {
  EXPECT_EQ(load_vectors().size(), 34u);
}

TEST(OapVectors, GiveWhatIsExpected) {
  for (const auto& g : load_vectors()) {
    auto r = next(view(g.bytes), {});
    EXPECT_EQ(told(r), g.at_eof ? "need_more" : g.expected) << g.name;
    EXPECT_EQ(r.is == read_status::frame ? r.len : g.bytes.size(), g.bytes.size()) << g.name;
  }
}

TEST(OapVectors, EveryProperPrefixOfAGoodOneNeedsMore) {
  for (const auto& g : load_vectors()) {
    if (!g.good())
      continue;
    for (std::size_t n = 0; n < g.bytes.size(); ++n) {
      auto r = next(view(g.bytes).first(n), {});
      ASSERT_EQ(told(r), "need_more") << g.name << " cut at " << n;
      ASSERT_GT(r.len, n) << g.name;
      ASSERT_LE(r.len, g.bytes.size()) << g.name;
      ASSERT_EQ(told(next(view(g.bytes).first(n), {})), "need_more") << "asked again";
    }
  }
}

TEST(OapVectors, APrefixOfABadOneNeedsMoreOrIsTheSameReject) {
  for (const auto& g : load_vectors()) {
    bool rejected = false;
    for (std::size_t n = 0; n <= g.bytes.size(); ++n) {
      auto t = told(next(view(g.bytes).first(n), {}));
      if (t == "need_more") {
        EXPECT_FALSE(rejected) << g.name << ": a reject was taken back at " << n;
      } else {
        EXPECT_EQ(t, g.expected) << g.name << " cut at " << n;
        rejected = true;
      }
    }
  }
}

TEST(OapVectors, WhatFollowsDoesNotMatter) {
  for (const auto& g : load_vectors()) {
    if (g.at_eof)
      continue;
    auto longer = g.bytes + wire(100, 0xff);
    EXPECT_EQ(told(next(view(longer), {})), g.expected) << g.name;
  }
}

// A session told of the same bytes in two slices at every point, never in one block.
TEST(OapVectors, EverySplitGivesTheSameInASession) {
  auto outcome = [](const golden& g, std::size_t cut) {
    session s{role::acceptor, {.max_frame = core::limits::oap_frame_bytes_law,
                               .features = {"x1", "zstd"}}};
    s.on_bytes(to_bytes(hello_frame(true, R"({"max_frame":1048576,"features":["zstd"]})")), {});
    wire head{g.bytes.begin(), g.bytes.begin() + static_cast<std::ptrdiff_t>(cut)};
    wire rest{g.bytes.begin() + static_cast<std::ptrdiff_t>(cut), g.bytes.end()};
    s.on_bytes(to_bytes(head), {});
    s.on_bytes(to_bytes(rest), {});
    s.on_eof(true);
    events out;
    s.take_events(out);
    std::string text;
    for (const auto& e : out) {
      text += std::to_string(e.index());
      if (const auto* c = std::get_if<closed>(&e))
        text += ":" + std::to_string(static_cast<int>(c->why));
    }
    for (auto n : s.counters().rejects)
      text += "," + std::to_string(n);
    return text;
  };
  for (const auto& g : load_vectors()) {
    auto whole = outcome(g, g.bytes.size());
    for (std::size_t cut = 0; cut < g.bytes.size(); ++cut)
      ASSERT_EQ(outcome(g, cut), whole) << g.name << " split at " << cut;
  }
}

TEST(OapVectors, UnderX1FramesWithoutExtensionAreMalformed) {
  for (const auto& g : load_vectors()) {
    bool plain = g.name == "V09_data_plain" || g.name.starts_with("G_start")
                 || g.name.starts_with("G_data") || g.name.starts_with("G_resp");
    if (plain || g.good()) {
      EXPECT_EQ(told(next(view(g.bytes), {.x1 = true})),
                plain ? "header_malformed/7" : g.expected)
        << g.name;
    }
  }
}

// The writer makes the V vectors again, byte by byte, from their fields.
class OapVectorsWritten : public testing::Test {
protected:
  void expect(std::string_view name) {
    std::vector<core::bytes> out;
    w.take(out);
    std::string hex;
    for (const auto& b : out)
      hex += core::to_hex(b.view());
    for (const auto& g : load_vectors()) {
      if (g.name == name) {
        EXPECT_EQ(hex, core::to_hex(view(g.bytes))) << name;
      }
    }
  }
  static frame_view frame_of(const golden& g) {
    return view_of(view(g.bytes), next(view(g.bytes), {}));
  }

  writer w;
};

TEST_F(OapVectorsWritten, EncodeAsTheyWereDecoded) {
  for (const auto& g : load_vectors()) {
    if (!g.good() || !g.name.starts_with("V"))
      continue;
    auto f = frame_of(g);
    switch (f.kind()) {
      case kind::hello: // HELLO's corr is the peer's business; ours is 0
        continue;
      case kind::start: {
        auto s = read_start(f);
        w.start({.corr = f.corr(), .app = f.app(), .tenant = f.tenant(), .objects = s.objects,
                 .reply_objects = s.reply_objects, .window = s.window, .seq_start = s.seq_start,
                 .cap = f.cap(), .name = s.name, .args = s.args});
        break;
      }
      case kind::data:
      case kind::end: {
        auto d = read_data(f);
        core::cid id;
        if (d.obj)
          std::memcpy(id.hash.data(), d.obj, 32);
        w.data({.corr = f.corr(), .app = f.app(), .tenant = f.tenant(), .flags = f.flags(),
                .status = f.status(), .ext = f.ext(), .raw_len = d.raw_len, .seq = d.seq,
                .obj = d.obj ? &id : nullptr, .total = d.has_total ? &d.total : nullptr},
               core::bytes::copy(d.bytes));
        break;
      }
      case kind::ack: {
        auto a = read_ack(f);
        w.ack(f.corr(), a.up_to, a.window);
        // V05 names its tenant, which nobody reads in an ACK; ours is 0.
        std::vector<core::bytes> out;
        w.take(out);
        auto again = next(out[0].view(), {});
        EXPECT_EQ(told(again), "ACK");
        EXPECT_EQ(read_ack(view_of(out[0].view(), again)).up_to, a.up_to);
        continue;
      }
      case kind::error: {
        auto e = read_error(f);
        w.error({.corr = f.corr(), .app = f.app(), .tenant = f.tenant(), .status = f.status(),
                 .why = e.why, .retry_after_ms = e.retry_after_ms, .last_seq = e.last_seq,
                 .message = e.message});
        break;
      }
    }
    expect(g.name);
  }
}

} // namespace
} // namespace ron::oap::test
