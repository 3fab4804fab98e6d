#include "transport/oap_inflate.hpp"

#include "core/limits.hpp"
#include "oap/session.hpp"
#include "oap/wire.hpp"
#include "support/zstd_text.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace {

using namespace ron;
using test::packable_text;
using test::zstd_frame;
using transport::inflate_limits;

constexpr std::size_t law = core::limits::oap_inflate_bytes_max;

/// What comes out; nothing if it is refused.
std::optional<std::string> inflated(std::string_view packed, std::size_t raw_len,
                                    const inflate_limits& limits = {}) {
  auto raw = transport::inflate_frame(
      {reinterpret_cast<const std::uint8_t*>(packed.data()), packed.size()},
      static_cast<std::uint32_t>(raw_len), limits);
  if (raw) {
    std::string all;
    for (const auto& piece : *raw) {
      EXPECT_TRUE(piece.size() == core::limits::chunk_bytes || &piece == &raw->back());
      EXPECT_FALSE(piece.empty());
      all += piece.text();
    }
    return all;
  }
  EXPECT_EQ(raw.error(), oap::reason::inflate_bound);
  return std::nullopt;
}

/// A zstd frame that says neither its size nor that it is small: it was written as a stream.
std::string zstd_stream(std::string_view text, int window_log) {
  auto* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  std::string packed(ZSTD_compressBound(text.size()) + 64, '\0');
  ZSTD_inBuffer in{text.data(), text.size(), 0};
  ZSTD_outBuffer out{packed.data(), packed.size(), 0};
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  packed.resize(out.pos);
  return packed;
}

// -- what is right -------------------------------------------------------------------

TEST(OapInflate, GivesWhatWasPacked) {
  for (std::size_t size : {std::size_t{1}, std::size_t{32}, std::size_t{65'535},
                           std::size_t{65'536}, std::size_t{65'537}, std::size_t{1} << 20}) {
    auto text = packable_text(size);
    EXPECT_EQ(inflated(zstd_frame(text), size), text) << size;
    EXPECT_EQ(inflated(zstd_stream(text, 21), size), text) << size << " of unknown length";
  }
}

TEST(OapInflate, EightMiBAndNotAByteMore) {
  auto text = packable_text(law + 1);
  auto whole = std::string_view{text}.substr(0, law);
  auto packed = zstd_frame(whole, 1);
  EXPECT_EQ(inflated(packed, law), whole);
  EXPECT_FALSE(inflated(packed, law - 1));
  EXPECT_FALSE(inflated(packed, law + 1));
  auto more = zstd_frame(text, 1);
  EXPECT_FALSE(inflated(more, law)) << "a byte too long for what it says";
  EXPECT_FALSE(inflated(more, law + 1)) << "and for the law when it says so";
  EXPECT_FALSE(inflated(more, law + 1, {.bytes_max = 64u << 20})) << "whatever is configured";
}

// -- what is wrong -------------------------------------------------------------------

TEST(OapInflate, RawLenIsExact) {
  for (std::size_t size : {std::size_t{1}, std::size_t{1'000}, std::size_t{65'536},
                           std::size_t{200'000}}) {
    auto text = packable_text(size);
    for (const auto& packed : {zstd_frame(text), zstd_stream(text, 20)}) {
      EXPECT_TRUE(inflated(packed, size)) << size;
      EXPECT_FALSE(inflated(packed, size - 1)) << size << ": longer than it says";
      EXPECT_FALSE(inflated(packed, size + 1)) << size << ": shorter than it says";
      EXPECT_FALSE(inflated(packed, law)) << size;
    }
  }
}

TEST(OapInflate, ABombIsRefusedAtTheRatio) {
  for (std::size_t size : {std::size_t{1'000}, std::size_t{65'536}, law}) {
    auto bomb = zstd_frame(std::string(size, '\0'));
    EXPECT_FALSE(inflated(bomb, size)) << size;
    EXPECT_EQ(inflated(bomb, size, {.ratio_max = 1'000'000}), std::string(size, '\0')) << size;
  }
  // One byte on either side of the bound.
  std::string text(5'000, 'x');
  auto packed = zstd_frame(text);
  auto ratio = text.size() / packed.size();
  text.resize(packed.size() * ratio, 'x');
  packed = zstd_frame(text);
  ASSERT_EQ(text.size() % packed.size(), 0u) << "a few letters more or less pack to the same size";
  EXPECT_TRUE(inflated(packed, text.size(), {.ratio_max = text.size() / packed.size()}));
  text += 'x';
  auto over = zstd_frame(text);
  ASSERT_EQ(over.size(), packed.size());
  EXPECT_FALSE(inflated(over, text.size(), {.ratio_max = text.size() / packed.size()}));
}

TEST(OapInflate, TheConfiguredBoundHolds) {
  auto text = packable_text(100'000);
  auto packed = zstd_frame(text);
  EXPECT_TRUE(inflated(packed, text.size(), {.bytes_max = 100'000}));
  EXPECT_FALSE(inflated(packed, text.size(), {.bytes_max = 99'999}));
  EXPECT_TRUE(inflated(packed, text.size(), {.body_max = 1})) << "of a route, not of a frame";
}

TEST(OapInflate, EveryCutIsShort) {
  auto text = packable_text(3'000);
  auto packed = zstd_frame(text);
  for (std::size_t n = 0; n < packed.size(); ++n)
    EXPECT_FALSE(inflated(packed.substr(0, n), text.size())) << n;
}

TEST(OapInflate, NothingMayFollowAndNothingElseMayBeThere) {
  auto text = packable_text(3'000);
  auto packed = zstd_frame(text);
  EXPECT_FALSE(inflated(packed + "x", text.size()));
  EXPECT_FALSE(inflated(packed + packed, text.size()));
  EXPECT_FALSE(inflated(packed + packed, 2 * text.size())) << "one zstd frame";
  EXPECT_FALSE(inflated("x" + packed, text.size()));
  EXPECT_FALSE(inflated("", 1));
  EXPECT_FALSE(inflated(text, text.size())) << "not packed at all";
  const std::string skippable{"\x50\x2a\x4d\x18\x01\x00\x00\x00z", 9};
  EXPECT_FALSE(inflated(skippable, 1));
  EXPECT_FALSE(inflated(skippable + packed, text.size()));
  EXPECT_FALSE(inflated(packed + skippable, text.size()));
}

TEST(OapInflate, AWindowAbove8MiBIsRefused) {
  auto text = packable_text(1'000);
  EXPECT_TRUE(inflated(zstd_stream(text, 23), text.size()));
  EXPECT_FALSE(inflated(zstd_stream(text, 24), text.size()));
}

// -- behind a session ------------------------------------------------------------------

// However the frame is cut on its way, the same bytes come out.
TEST(OapInflate, EveryCutOfTheFrameInflatesToTheSame) {
  using namespace oap::test;
  auto text = packable_text(300);
  auto packed = zstd_frame(text);
  const auto raw_len = static_cast<std::uint32_t>(text.size());
  auto frame = end_frame_of(1, 1, packed, {.flags = oap::flag::comp, .raw_len = raw_len});
  for (std::size_t cut = 0; cut <= frame.size(); ++cut) {
    oap::session s{oap::role::acceptor, {.features = {"x1", "zstd"}}};
    s.on_bytes(to_bytes(hello_frame(true, R"({"features":["x1","zstd"]})") + start_frame_of(1)),
               {});
    auto at = frame.begin() + static_cast<std::ptrdiff_t>(cut);
    s.on_bytes(to_bytes({frame.begin(), at}), {});
    s.on_bytes(to_bytes({at, frame.end()}), {});
    oap::events batch;
    std::optional<std::string> got;
    while (s.take_events(batch))
      for (auto& e : batch)
        if (auto* d = std::get_if<oap::data>(&e))
          got = inflated(d->bytes.text(), d->raw_len);
    EXPECT_EQ(got, text) << cut;
  }
}

} // namespace
