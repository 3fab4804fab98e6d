#include "transport/inflate.hpp"

#include "support/zstd_text.hpp"

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

#include <string>

namespace {

using namespace ron;
using namespace ron::transport;
using core::ec;

std::string pack_zlib(std::string_view text, int window) {
  z_stream z{};
  deflateInit2(&z, 6, Z_DEFLATED, window, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&z, text.size()) + 64, '\0');
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  z.avail_in = static_cast<uInt>(text.size());
  z.next_out = reinterpret_cast<Bytef*>(out.data());
  z.avail_out = static_cast<uInt>(out.size());
  deflate(&z, Z_FINISH);
  out.resize(out.size() - z.avail_out);
  deflateEnd(&z);
  return out;
}

std::string pack(coding c, std::string_view text) {
  if (c == coding::gzip)
    return pack_zlib(text, 31);
  if (c == coding::deflate)
    return pack_zlib(text, 15);
  if (c == coding::identity)
    return std::string{text};
  return test::zstd_frame(text);
}

core::result<std::string> unpack(coding c, std::string_view data, std::size_t step = 1 << 20,
                                 inflate_limits limits = {}) {
  inflate_guard g{c, limits};
  std::string out;
  while (!data.empty()) {
    auto piece = data.substr(0, step);
    if (auto r = g.feed({reinterpret_cast<const std::uint8_t*>(piece.data()), piece.size()}, out);
        !r)
      return std::unexpected{r.error()};
    data.remove_prefix(piece.size());
  }
  if (auto r = g.finish(); !r)
    return std::unexpected{r.error()};
  return out;
}

constexpr coding codings[] = {coding::identity, coding::gzip, coding::deflate, coding::zstd};

TEST(Inflate, ReadsEveryCodingAtEverySplit) {
  for (auto c : codings)
    for (std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{1000}, std::size_t{150'000}})
      for (std::size_t step :
           {std::size_t{1}, std::size_t{7}, std::size_t{4096}, std::size_t{1} << 20}) {
        if (size > 1000 && step < 4096)
          continue;
        auto text = test::packable_text(size);
        auto r = unpack(c, pack(c, text), step);
        ASSERT_TRUE(r) << int(c) << ' ' << size << ' ' << step << ' ' << r.error().message;
        EXPECT_EQ(*r, text);
      }
}

TEST(Inflate, NamesOfCodings) {
  EXPECT_EQ(*parse_coding(""), coding::identity);
  EXPECT_EQ(*parse_coding("GZIP"), coding::gzip);
  EXPECT_EQ(*parse_coding("deflate"), coding::deflate);
  EXPECT_EQ(*parse_coding("zstd"), coding::zstd);
  for (auto text :
       {"br", "gzip, gzip", "gzip,zstd", "identity, gzip", "gzip;q=1", "compress", "gzip "})
    EXPECT_EQ(parse_coding(text).error().code, ec::unsupported_coding) << text;
}

TEST(Inflate, ABombIsRefusedAtTheRatio) {
  for (auto c : {coding::gzip, coding::deflate, coding::zstd}) {
    auto bomb = pack(c, std::string(8u << 20, '\0'));
    for (std::size_t step : {std::size_t{100}, std::size_t{1} << 20}) {
      inflate_guard g{c, {.ratio_max = 10, .bytes_max = 8u << 20, .body_max = 1u << 30}};
      std::string out;
      core::result<void> r;
      for (std::string_view rest = bomb; !rest.empty() && r;
           rest.remove_prefix(std::min(step, rest.size()))) {
        auto piece = rest.substr(0, step);
        r = g.feed({reinterpret_cast<const std::uint8_t*>(piece.data()), piece.size()}, out);
      }
      ASSERT_FALSE(r) << int(c);
      EXPECT_EQ(r.error().code, ec::ratio_cap);
      EXPECT_LE(out.size(), 10 * bomb.size());
    }
  }
}

TEST(Inflate, TheOutputIsCapped) {
  auto text = test::packable_text(200'000);
  for (auto c : {coding::gzip, coding::deflate, coding::zstd}) {
    auto packed = pack(c, text);
    EXPECT_EQ(unpack(c, packed, 4096, {.bytes_max = 100'000}).error().code, ec::decompress_cap);
    EXPECT_EQ(unpack(c, packed, 4096, {.body_max = 100'000}).error().code, ec::body_cap);
    EXPECT_TRUE(unpack(c, packed, 4096, {.bytes_max = 200'000, .body_max = 200'000}));
  }
  EXPECT_EQ(unpack(coding::identity, text, 4096, {.body_max = 100'000}).error().code, ec::body_cap);
  EXPECT_TRUE(unpack(coding::identity, text, 4096, {.bytes_max = 1})) << "nothing inflates here";
}

TEST(Inflate, StopsAtTheFirstByteTooMany) {
  std::string text(3u << 20, 'x');
  for (auto c : {coding::gzip, coding::deflate, coding::zstd}) {
    auto packed = pack(c, text);
    for (std::size_t most : {std::size_t{1}, std::size_t{65'535}, std::size_t{65'536},
                             std::size_t{65'537}, std::size_t{1} << 20}) {
      inflate_guard g{c, {.ratio_max = 1u << 20, .body_max = most}};
      std::string out;
      auto r = g.feed({reinterpret_cast<const std::uint8_t*>(packed.data()), packed.size()}, out);
      ASSERT_FALSE(r) << int(c) << ' ' << most;
      EXPECT_EQ(r.error().code, ec::body_cap);
      EXPECT_LE(out.size(), most);
    }
    EXPECT_TRUE(unpack(c, packed, 1 << 20, {.ratio_max = 1u << 20, .body_max = text.size()}));
  }
}

TEST(Inflate, DamageIsABadRequest) {
  auto text = test::packable_text(50'000);
  for (auto c : {coding::gzip, coding::deflate, coding::zstd}) {
    auto packed = pack(c, text);
    EXPECT_EQ(unpack(c, packed.substr(0, packed.size() - 1)).error().code, ec::bad_request);
    EXPECT_EQ(unpack(c, "").error().code, ec::bad_request);
    EXPECT_EQ(unpack(c, packed + "x").error().code, ec::bad_request) << "bytes after the end";
    EXPECT_EQ(unpack(c, packed + packed).error().code, ec::bad_request);
    EXPECT_EQ(unpack(c, "this is not packed at all").error().code, ec::bad_request);
    auto broken = packed;
    broken[broken.size() / 2] = static_cast<char>(broken[broken.size() / 2] ^ 0x55);
    auto r = unpack(c, broken);
    EXPECT_TRUE(!r || *r != text || c == coding::zstd);
  }
}

TEST(Inflate, AWindowLargerThanTheBoundIsRefused) {
  auto* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, 27);
  ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
  auto text = test::packable_text(1000);
  std::string packed(ZSTD_compressBound(text.size()), '\0');
  ZSTD_inBuffer in{text.data(), text.size(), 0};
  ZSTD_outBuffer out{packed.data(), packed.size(), 0};
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_flush);
  ZSTD_compressStream2(context, &out, &in, ZSTD_e_end);
  ZSTD_freeCCtx(context);
  packed.resize(out.pos);
  EXPECT_EQ(unpack(coding::zstd, packed).error().code, ec::bad_request);
}

} // namespace
