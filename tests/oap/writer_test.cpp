#include "oap/writer.hpp"

#include "oap/reader.hpp"
#include "oap/wire.hpp"

#include <gtest/gtest.h>

#include <random>

namespace ron::oap::test {
namespace {

wire joined(const std::vector<core::bytes>& slices) {
  wire w;
  for (const auto& b : slices)
    w.insert(w.end(), b.view().begin(), b.view().end());
  return w;
}

TEST(OapWriter, SmallFramesShareOneSlice) {
  writer w;
  for (int i = 0; i < 50; ++i)
    w.ack(1, 1, 8);
  EXPECT_EQ(w.pending_bytes(), 50 * ack_bytes);
  std::vector<core::bytes> out;
  ASSERT_TRUE(w.take(out));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].size(), 50 * ack_bytes);
  EXPECT_EQ(w.pending_bytes(), 0u);
  EXPECT_FALSE(w.take(out));
  EXPECT_EQ(w.frames()[static_cast<std::size_t>(kind::ack)], 50u);
}

TEST(OapWriter, BuffersGrowToTheirBoundAndNoFurther) {
  for (std::size_t bound : {core::limits::write_coalesce_bytes, std::size_t{16'384}}) {
    writer w;
    w.set_block_max(bound);
    std::vector<core::bytes> out;
    for (int i = 0; i < 5'000; ++i)
      w.ack(1, 1, 8);
    w.take(out);
    EXPECT_GT(out.size(), 3u);
    for (const auto& b : out)
      EXPECT_LE(b.size(), bound);
    EXPECT_GT(out[3].size(), bound - ack_bytes);
  }
}

TEST(OapWriter, LargePayloadsAreNotCopied) {
  writer w;
  auto payload = core::bytes::copy(std::string(writer::scatter_min, 'x'));
  w.data({.corr = 1, .app = 1, .flags = flag::req, .seq = 1}, payload);
  w.data({.corr = 1, .app = 1, .flags = flag::req, .seq = 2},
         core::bytes::copy(std::string_view{"small"}));
  std::vector<core::bytes> out;
  w.take(out);
  ASSERT_EQ(out.size(), 3u);
  EXPECT_EQ(out[0].size(), header_bytes + ext_bytes);
  EXPECT_EQ(out[1].data(), payload.data());
  EXPECT_EQ(out[2].size(), header_bytes + ext_bytes + 5);
  auto all = joined(out);
  auto r = next(core::byte_view{all}, {});
  ASSERT_EQ(r.is, read_status::frame);
  EXPECT_EQ(read_data(view_of(all, r)).bytes.size(), writer::scatter_min);
}

TEST(OapWriter, ReusesItsBufferOnceTheLinkIsDone) {
  writer w;
  std::vector<core::bytes> out;
  w.ack(1, 1, 8);
  w.take(out);
  const auto* first = out[0].data();
  std::size_t memory = w.memory_bytes();
  for (int i = 0; i < 1'000; ++i) {
    out.clear();
    w.ack(1, 1, 8);
    w.take(out);
    ASSERT_EQ(out.size(), 1u);
  }
  EXPECT_LE(w.memory_bytes(), 4 * memory) << first;
  w.trim();
  EXPECT_LT(w.memory_bytes(), 100u);
}

TEST(OapWriter, SlicesThatWereHandedOutNeverChange) {
  writer w;
  std::vector<core::bytes> held;
  for (std::uint64_t i = 0; i < 3'000; ++i) {
    w.ack(1, i, 8);
    w.take(held);
  }
  auto all = joined(held);
  ASSERT_EQ(all.size(), 3'000 * ack_bytes);
  for (std::uint64_t i = 0; i < 3'000; ++i)
    ASSERT_EQ(load_be<std::uint64_t>(all.data() + i * ack_bytes + header_bytes), i);
}

// What is written is read again: random fields of every kind.
TEST(OapWriter, RoundTrip) {
  const auto seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 rng{seed};
  auto upto = [&rng](std::uint64_t n) { return rng() % (n + 1); };
  for (int i = 0; i < 2'000; ++i) {
    writer w;
    std::vector<core::bytes> out;
    core::tenant tenant;
    for (auto& b : tenant.id)
      b = static_cast<std::uint8_t>(rng());
    core::cid id;
    for (auto& b : id.hash)
      b = static_cast<std::uint8_t>(rng());
    std::uint64_t total = rng();
    corr_t corr = upto(~0ull - 1) + 1;
    auto app = static_cast<std::uint16_t>(upto(0xfffe) + 1);
    std::string blob(upto(20'000), 'b');
    auto blob_view
      = core::byte_view{reinterpret_cast<const std::uint8_t*>(blob.data()), blob.size()};
    auto which = upto(4);
    start_frame s{.corr = corr, .app = app, .tenant = tenant,
                  .flags = static_cast<std::uint16_t>(upto(1) * flag::end), .objects = upto(1) == 1,
                  .reply_objects = upto(1) == 1,
                  .window = static_cast<std::uint32_t>(upto(1023)) + 1, .seq_start = rng(),
                  .cap = blob_view.first(std::min<std::size_t>(blob.size(), 4096)),
                  .name = std::string_view{blob}.substr(0, 255), .args = blob_view};
    data_frame d{.corr = corr, .app = app, .tenant = tenant,
                 .flags = static_cast<std::uint16_t>(flag::resp | (which == 1 ? flag::end : 0)),
                 .status = static_cast<std::uint16_t>(upto(399)), .seq = rng(),
                 .obj = upto(1) ? &id : nullptr, .total = upto(1) ? &total : nullptr};
    error_frame e{.corr = corr, .app = app, .tenant = tenant,
                  .status = static_cast<std::uint16_t>(400 + upto(199)),
                  .why = static_cast<reason>(upto(0xffff)),
                  .retry_after_ms = static_cast<std::uint32_t>(rng()), .last_seq = rng(),
                  .message = std::string_view{blob}.substr(0, 1024)};
    std::uint64_t up_to = rng();
    auto window = static_cast<std::uint32_t>(upto(1024));
    if (which == 0)
      w.start(s);
    else if (which <= 2)
      w.data(d, core::bytes::copy(blob));
    else if (which == 3)
      w.ack(corr, up_to, window);
    else
      w.error(e);
    w.take(out);
    auto all = joined(out);
    auto r = next(core::byte_view{all}, {.x1 = true});
    ASSERT_EQ(r.is, read_status::frame) << which << " " << to_string(r.why);
    ASSERT_EQ(r.len, all.size());
    auto f = view_of(all, r);
    ASSERT_EQ(f.corr(), corr);
    if (which == 0) {
      auto got = read_start(f);
      ASSERT_EQ(f.kind(), kind::start);
      ASSERT_EQ(f.tenant(), tenant);
      ASSERT_EQ(got.objects, s.objects);
      ASSERT_EQ(got.reply_objects, s.reply_objects);
      ASSERT_EQ(got.window, s.window);
      ASSERT_EQ(got.seq_start, s.seq_start);
      ASSERT_EQ(got.name, s.name);
      ASSERT_EQ(got.args.size(), blob.size());
      ASSERT_EQ(f.cap().size(), s.cap.size());
    } else if (which <= 2) {
      auto got = read_data(f);
      ASSERT_EQ(f.kind(), which == 1 ? kind::end : kind::data);
      ASSERT_EQ(f.app(), app);
      ASSERT_EQ(f.status(), d.status);
      ASSERT_EQ(got.seq, d.seq);
      ASSERT_EQ(got.bytes.size(), blob.size());
      ASSERT_EQ(got.obj != nullptr, d.obj != nullptr);
      ASSERT_TRUE(!d.obj || std::memcmp(got.obj, id.hash.data(), 32) == 0);
      ASSERT_EQ(got.has_total, d.total != nullptr);
      ASSERT_TRUE(!d.total || got.total == total);
    } else if (which == 3) {
      ASSERT_EQ(read_ack(f).up_to, up_to);
      ASSERT_EQ(read_ack(f).window, window);
    } else {
      auto got = read_error(f);
      ASSERT_EQ(got.why, e.why);
      ASSERT_EQ(got.retry_after_ms, e.retry_after_ms);
      ASSERT_EQ(got.last_seq, e.last_seq);
      ASSERT_EQ(got.message, e.message);
    }
  }
}

} // namespace
} // namespace ron::oap::test
