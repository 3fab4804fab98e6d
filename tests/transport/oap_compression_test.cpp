#include "oap/wire.hpp"
#include "support/zstd_text.hpp"
#include "transport/oap_rig.hpp"

namespace {

using namespace ron;
using oap::reason;
using test::packable_text;
using test::zstd_frame;
using transport::ending;

/// COMP over a real connection.
class OapCompression : public test::OapRig {
public:
  OapCompression() {
    settings.session.features = {"x1", "zstd"};
  }

  /// A connection whose other side packs and has heard our HELLO.
  test::oap_client& dial_packing(oap::session_settings mine = {}) {
    mine.features = {"x1", "zstd"};
    auto& c = dial(0, mine);
    c.flush();
    EXPECT_NE(c.find<oap::peer_hello>(), nullptr);
    return c;
  }
  static oap::send_status send(test::oap_client& c, oap::corr_t corr, std::string_view packed,
                               std::size_t raw_len, bool end = false) {
    auto how = c.session().send(corr, core::bytes::copy(packed),
                                {.end = end, .raw_len = static_cast<std::uint32_t>(raw_len)});
    c.flush();
    return how;
  }
  static std::string text_of(const test::oap_client& c, oap::corr_t corr) {
    std::string out;
    for (const auto& e : c.seen)
      if (auto* d = std::get_if<oap::data>(&e); d && d->corr == corr)
        out += d->bytes.text();
    return out;
  }
  /// The stream ended for `reason::inflate_bound`, its operation knows, and the rest goes on.
  void expect_breach(test::oap_client& c, oap::corr_t corr, std::uint64_t so_far = 1) {
    const auto* e = c.error_of(corr);
    ASSERT_NE(e, nullptr);
    EXPECT_EQ(e->why, reason::inflate_bound);
    EXPECT_EQ(e->status, 413);
    EXPECT_EQ(wire().rejects.value(oap::bucket::frame_oversize), so_far);
    EXPECT_TRUE(test::eventually([this] {
      return gate.slots == 0 && wire().streams.value() == 0;
    }));
    EXPECT_TRUE(c.ended(c.open("ping", {}, {.end = true}))) << "the connection lives";
  }
  /// COMP was not agreed: a frame that has it all the same ends the connection.
  void expect_refused(test::oap_client& c) {
    EXPECT_FALSE(c.session().limits().zstd);
    auto corr = c.open("sink");
    EXPECT_EQ(send(c, corr, "zz", 9), oap::send_status::refused) << "our own session knows";
    auto frame = oap::test::data_frame_of(corr, 1, zstd_frame("text"),
                                          {.flags = oap::flag::comp, .raw_len = 4});
    ASSERT_TRUE(c.socket().write({reinterpret_cast<const char*>(frame.data()), frame.size()}));
    const auto* over = c.find<oap::closed>();
    ASSERT_NE(over, nullptr);
    EXPECT_EQ(over->why, reason::bad_comp);
    EXPECT_EQ(wire().rejects.value(oap::bucket::header_malformed), 1u);
    EXPECT_EQ(toys.uploaded, 0u);
    c.socket().close_notify();
    EXPECT_TRUE(quiet(ending::reject));
  }
};

TEST_F(OapCompression, OperationsSeeWhatWasPacked) {
  auto& c = dial_packing();
  auto corr = c.open("echo");
  std::string all;
  for (std::size_t size : {std::size_t{1}, std::size_t{1'000}, std::size_t{65'536}}) {
    auto text = packable_text(size);
    ASSERT_EQ(send(c, corr, zstd_frame(text), size), oap::send_status::sent);
    all += text;
  }
  ASSERT_EQ(c.session().send(corr, core::bytes::copy("plain"), {.end = true}),
            oap::send_status::sent)
      << "frames with and without COMP mix";
  c.flush();
  EXPECT_TRUE(c.ended(corr));
  EXPECT_EQ(text_of(c, corr), all + "plain");
}

// A frame may inflate to ten times what one may carry: it is handed on in pieces of 64 KiB.
TEST_F(OapCompression, ALargeFrameComesInPieces) {
  auto& c = dial_packing();
  auto corr = c.open("echo");
  auto text = packable_text(300'000);
  auto packed = zstd_frame(text, 19);
  ASSERT_EQ(send(c, corr, packed, text.size(), true), oap::send_status::sent);
  EXPECT_TRUE(c.ended(corr));
  EXPECT_EQ(text_of(c, corr), text);
  for (const auto& e : c.seen)
    if (auto* d = std::get_if<oap::data>(&e)) {
      EXPECT_LE(d->bytes.size(), 65'536u);
    }
}

// Credit counts frames as they are on the wire: many times the window goes through.
TEST_F(OapCompression, AFrameCostsOneFrameOfCredit) {
  auto& c = dial_packing();
  auto corr = c.open("sink");
  auto text = packable_text(150'000);
  auto packed = zstd_frame(text);
  constexpr std::size_t frames = 40;
  for (std::size_t i = 0; i < frames; ++i) {
    ASSERT_TRUE(c.until([&](const auto&) { return c.session().can_send(corr); })) << i;
    ASSERT_EQ(send(c, corr, packed, text.size(), i + 1 == frames), oap::send_status::sent);
  }
  EXPECT_TRUE(c.ended(corr));
  EXPECT_EQ(toys.uploaded, frames * text.size());
}

TEST_F(OapCompression, WhatIsNotAsItSaysEndsItsStream) {
  auto& c = dial_packing();
  auto text = packable_text(10'000);
  auto packed = zstd_frame(text);
  auto bomb = zstd_frame(std::string(1u << 20, '\0'));
  struct {
    std::string_view name;
    std::string bytes;
    std::size_t raw_len;
  } cases[] = {
      {"longer than it says", packed, text.size() - 1},
      {"shorter than it says", packed, text.size() + 1},
      {"cut", packed.substr(0, packed.size() - 1), text.size()},
      {"bytes behind it", packed + "x", text.size()},
      {"not packed", text, text.size()},
      {"nothing", "", 1},
      {"a bomb", bomb, 1u << 20},
  };
  std::uint64_t n = 0;
  for (const auto& x : cases) {
    SCOPED_TRACE(x.name);
    auto corr = c.open("sink");
    ASSERT_EQ(send(c, corr, x.bytes, x.raw_len), oap::send_status::sent);
    expect_breach(c, corr, ++n);
    EXPECT_EQ(toys.bodies_failed, static_cast<int>(n));
  }
  EXPECT_EQ(toys.uploaded, 0u);
}

TEST_F(OapCompression, WhatCameBeforeABreachWasHandedOn) {
  auto& c = dial_packing();
  auto corr = c.open("sink");
  ASSERT_EQ(c.session().send(corr, core::bytes::copy("abc")), oap::send_status::sent);
  ASSERT_EQ(send(c, corr, "junk", 9), oap::send_status::sent);
  ASSERT_EQ(c.session().send(corr, core::bytes::copy("def"), {.end = true}),
            oap::send_status::sent);
  c.flush();
  expect_breach(c, corr);
  EXPECT_EQ(toys.uploaded, 3u);
  EXPECT_EQ(toys.bodies_failed, 1);
}

TEST_F(OapCompression, NothingIsInflatedThatNobodyWants) {
  auto& c = dial_packing();
  auto corr = c.open("ping");
  ASSERT_TRUE(c.ended(corr));
  ASSERT_EQ(send(c, corr, "junk", 9, true), oap::send_status::sent);
  EXPECT_TRUE(c.ended(c.open("ping", {}, {.end = true})));
  EXPECT_EQ(wire().rejects.value(oap::bucket::frame_oversize), 0u);
}

TEST_F(OapCompression, TheSizeOfTheSettingsHolds) {
  settings.inflate.bytes_max = 50'000;
  auto& c = dial_packing();
  auto text = packable_text(50'001);
  auto good = c.open("sink");
  auto packed = zstd_frame(std::string_view{text}.substr(1));
  ASSERT_EQ(send(c, good, packed, text.size() - 1, true), oap::send_status::sent);
  EXPECT_TRUE(c.ended(good));
  EXPECT_EQ(toys.uploaded, 50'000u);
  auto bad = c.open("sink");
  ASSERT_EQ(send(c, bad, zstd_frame(text), text.size(), true), oap::send_status::sent);
  expect_breach(c, bad);
}

TEST_F(OapCompression, TheRatioOfTheSettingsHolds) {
  settings.inflate.ratio_max = 2;
  auto& c = dial_packing();
  auto text = packable_text(50'000);
  auto bad = c.open("sink");
  ASSERT_EQ(send(c, bad, zstd_frame(text), text.size(), true), oap::send_status::sent);
  expect_breach(c, bad);
}

TEST_F(OapCompression, NotOfferedIsARejectOfTheConnection) {
  settings.session.features = {"x1"};
  auto& c = dial_packing();
  EXPECT_FALSE(c.find<oap::peer_hello>()->said->has_feature("zstd"));
  expect_refused(c);
}

TEST_F(OapCompression, NotTakenUpIsARejectOfTheConnection) {
  auto& c = dial();
  c.flush();
  ASSERT_NE(c.find<oap::peer_hello>(), nullptr);
  EXPECT_TRUE(c.find<oap::peer_hello>()->said->has_feature("zstd"));
  expect_refused(c);
}

} // namespace
